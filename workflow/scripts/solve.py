"""Let the exact solver answer a split's prompts: the demonstrations of an unrealizable expert.

It answers at once and without search, which no policy of the students' class can do. Response j of
a prompt is its sample j, drawn uniformly from all distinct expressions that solve it.
"""

import json
import random
from pathlib import Path

from pydantic import Field

from online_il.files import write_table
from online_il.generation.response import Response
from online_il.grading import graded_sample
from online_il.program.cli import RunOptions, main
from online_il.provenance import file_hash, versions
from online_il.records import Prompts, Samples, read_table
from online_il.tasks import miniature
from online_il.tasks.countdown import Instance


class Options(RunOptions):
    prompts: Path = Field(description="table of prompts")
    split: str = Field("train", description="which prompts")
    count: int = Field(description="number of responses")
    output: Path = Field(description="table to write")


def run(options: Options) -> None:
    table = read_table(options.prompts, Prompts)
    prompts = table[table["split"] == options.split].reset_index(drop=True)
    rng = random.Random(options.seed)
    rows = []
    for number in range(options.count):
        prompt, index = number % len(prompts), number // len(prompts)
        answer = json.loads(prompts["answer"][prompt])
        instance = Instance(tuple(answer["numbers"]), answer["target"])
        text = miniature.solver_response(rng, instance)
        response = Response(text.removesuffix(" <eos>"), len(text.split()), "stop")
        rows.append(
            graded_sample(
                prompt_id=prompts["prompt_id"][prompt],
                sample_index=index,
                policy=options.run,
                seed=options.seed,
                answer=answer,
                response=response,
            )
        )
    provenance = {
        "task": options.task,
        "policy": options.run,
        "weights_hash": None,
        "prompts_hash": file_hash(options.prompts),
        "sampling": "uniform over the solver's expressions",
        "seed": options.seed,
        "code_hash": options.code,
        "versions": versions(),
    }
    write_table(rows, Samples, options.output, provenance)


if __name__ == "__main__":
    main(run, Options, __doc__)
