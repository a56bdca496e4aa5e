"""Sample a policy's responses to the prompts of some splits.

Of the training prompts these are the demonstrations of SFT: unfiltered, at temperature 1 (decision
8), --count in all, passing the prompts as often as it takes. With --samples-per-prompt every
prompt has as many. Response j of a prompt is its sample j. After a kill, the same command goes on
after the last batch that was written in full.
"""

import argparse
from pathlib import Path

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.files import write_table
from online_il.generation.engines import open_engine
from online_il.generation.resume import Resume, respond
from online_il.generation.tokens import vocabulary_hash
from online_il.grading import graded_samples
from online_il.models import form_hash, newest_step, weights_hash
from online_il.program.cli import add_run, log, main, parser
from online_il.program.progress import report
from online_il.provenance import file_hash, identities, libraries, versions
from online_il.records import Samples, read_prompts


def run(options: argparse.Namespace) -> None:
    prompts = read_prompts(options.prompts, options.splits.split(","))
    count = options.count or options.samples_per_prompt * len(prompts)
    keys = [(i % len(prompts), i // len(prompts)) for i in range(count)]
    sampling = Sampling.model_validate_json(options.sampling)
    policy = newest_step(options.checkpoints)
    report(options.progress, done=0, total=count, unit="response")
    generation = Generation.model_validate_json(options.generation)
    provenance = {
        "task": options.task,
        "policy": f"{options.run}/{policy.name}",
        "weights_hash": weights_hash(policy),
        "vocabulary_hash": vocabulary_hash(policy),
        "prompts_hash": file_hash(options.prompts),
        "sampling": sampling.model_dump(),
        "generation": generation.model_dump(),
        "seed": options.seed,
        "code_hash": options.code,
        "versions": versions(),
    }
    known = {k: v for k, v in provenance.items() if k not in ("code_hash", "versions")}
    own, *accepted = identities(
        options.code, **known, versions=libraries(), form=form_hash(policy), keys=keys
    )
    engine = open_engine(generation)
    engine.load(policy)
    responses = respond(
        engine,
        [prompts["text"][prompt] for prompt, _ in keys],
        keys,
        sampling=sampling,
        seed=options.seed,
        resume=Resume(options.state, own, options.code, tuple(accepted)),
        done=lambda rows: report(options.progress, done=rows, total=count, unit="response"),
    )
    name = f"{options.run}/{policy.name}"
    rows = graded_samples(prompts, keys, responses, policy=name, seed=options.seed)
    log("sampled", responses=len(rows), accuracy=sum(r["correct"] for r in rows) / len(rows))
    write_table(rows, Samples, options.output, provenance)
    report(options.progress, done=count, total=count, unit="response")


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--checkpoints", type=Path, required=True, help="the expert's folder")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--splits", default="train", help="which prompts, commas between")
    amount = arguments.add_mutually_exclusive_group(required=True)
    amount.add_argument("--count", type=int, help="number of responses in all")
    amount.add_argument("--samples-per-prompt", type=int, help="number of responses a prompt")
    arguments.add_argument("--sampling", required=True, help="sampling settings, JSON")
    arguments.add_argument("--generation", required=True, help="generation settings, JSON")
    arguments.add_argument("--state", type=Path, required=True, help="what it goes on from; kept")
    arguments.add_argument("--output", type=Path, required=True, help="table to write")
    arguments.add_argument("--progress", type=Path, required=True, help="progress file")
    main(run, arguments)
