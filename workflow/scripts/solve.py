"""Let the exact solver answer a split's prompts: the demonstrations of an unrealizable expert.

It answers at once and without search, which no policy of the students' class can do. Response j of
a prompt is its sample j, drawn uniformly from all distinct expressions that solve it.
"""

import argparse
import json
import random
from pathlib import Path

from online_il.files import write_table
from online_il.generation.response import Response
from online_il.grading import graded_samples
from online_il.program.cli import add_run, main, parser
from online_il.provenance import file_hash, versions
from online_il.records import Samples, read_prompts
from online_il.tasks import miniature
from online_il.tasks.countdown import Instance


def run(options: argparse.Namespace) -> None:
    prompts = read_prompts(options.prompts, [options.split])
    keys = [(i % len(prompts), i // len(prompts)) for i in range(options.count)]
    rng = random.Random(options.seed)
    responses = []
    for prompt, _ in keys:
        answer = json.loads(prompts["answer"][prompt])
        instance = Instance(tuple(answer["numbers"]), answer["target"])
        text = miniature.solver_response(rng, instance)
        responses.append(Response(text.removesuffix(" <eos>"), len(text.split()), "stop"))
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
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--split", default="train", help="which prompts")
    arguments.add_argument("--count", type=int, required=True, help="number of responses")
    arguments.add_argument("--output", type=Path, required=True, help="table to write")
    main(run, arguments)
