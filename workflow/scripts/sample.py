"""Sample an expert's responses to the training prompts: the demonstrations of SFT.

The expert is a trained policy, sampled at temperature 1 and unfiltered (decision 8); response j of
a prompt is its sample j, and prompts are passed as often as the number of demonstrations needs.
"""

import argparse
import json
from pathlib import Path

from online_il.cli import add_run, log, main, newest_step, parser
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.generation.engines import open_engine
from online_il.grading import graded_sample
from online_il.models import WEIGHTS
from online_il.progress import report
from online_il.provenance import file_hash, versions
from online_il.records import Prompts, Samples, read_table, write_table


def run(options: argparse.Namespace) -> None:
    table = read_table(options.prompts, Prompts)
    prompts = table[table["split"] == "train"].reset_index(drop=True)
    keys = [(i % len(prompts), i // len(prompts)) for i in range(options.count)]
    sampling = Sampling.model_validate_json(options.sampling)
    policy = newest_step(options.checkpoints)
    report(options.progress, done=0, total=options.count, unit="response")
    generation = Generation.model_validate_json(options.generation)
    engine = open_engine(generation)
    engine.load(policy)
    responses = engine.respond(
        [prompts["text"][prompt] for prompt, _ in keys],
        keys,
        sampling=sampling,
        seed=options.seed,
    )
    rows = [
        graded_sample(
            prompt_id=prompts["prompt_id"][prompt],
            sample_index=index,
            policy=f"{options.run}/{policy.name}",
            seed=options.seed,
            answer=json.loads(prompts["answer"][prompt]),
            response=response,
        )
        for (prompt, index), response in zip(keys, responses, strict=True)
    ]
    log("sampled", responses=len(rows), accuracy=sum(r["correct"] for r in rows) / len(rows))
    provenance = {
        "task": options.task,
        "policy": f"{options.run}/{policy.name}",
        "weights_hash": file_hash(policy / WEIGHTS),
        "prompts_hash": file_hash(options.prompts),
        "sampling": sampling.model_dump(),
        "generation": generation.model_dump(),
        "seed": options.seed,
        "code_hash": options.code,
        "versions": versions(),
    }
    write_table(rows, Samples, options.output, provenance)
    report(options.progress, done=options.count, total=options.count, unit="response")


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--checkpoints", type=Path, required=True, help="the expert's folder")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--count", type=int, required=True, help="number of responses")
    arguments.add_argument("--sampling", required=True, help="sampling settings, JSON")
    arguments.add_argument("--generation", required=True, help="generation settings, JSON")
    arguments.add_argument("--output", type=Path, required=True, help="table to write")
    arguments.add_argument("--progress", type=Path, required=True, help="progress file")
    main(run, arguments)
