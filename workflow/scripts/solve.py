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
from online_il.generation.tokens import Tokens
from online_il.grading import graded_samples
from online_il.layout import step
from online_il.program.cli import RunOptions, main
from online_il.provenance import file_hash, versions
from online_il.records import Samples, read_prompts
from online_il.tasks import english, miniature
from online_il.tasks.countdown import Instance


class Options(RunOptions):
    prompts: Path = Field(description="table of prompts")
    model: Path | None = Field(
        None, description="model in whose tokens answers in English are counted"
    )
    split: str = Field("train", description="which prompts")
    count: int = Field(description="number of responses")
    output: Path = Field(description="table to write")


def run(options: Options) -> None:
    prompts = read_prompts(options.prompts, [options.split])
    keys = [(i % len(prompts), i // len(prompts)) for i in range(options.count)]
    rng = random.Random(options.seed)
    tokens = Tokens(step(options.model)) if options.model else None
    responses = []
    for prompt, _ in keys:
        answer = json.loads(prompts["answer"][prompt])
        instance = Instance(tuple(answer["numbers"]), answer["target"])
        if tokens is None:
            text = miniature.solver_response(rng, instance)
            responses.append(Response(text.removesuffix(" <eos>"), len(text.split()), "stop"))
        else:
            text = rng.choice(english.solver_responses(instance))
            responses.append(Response(text, len(tokens.encode(text)) + 1, "stop"))
    rows = graded_samples(prompts, keys, responses, policy=options.run, seed=options.seed)
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
