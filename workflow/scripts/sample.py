"""Sample a policy's responses to the prompts of some splits.

Of the training prompts these are the demonstrations of SFT: unfiltered, at temperature 1 (decision
8), --count in all, passing the prompts as often as it takes. With --samples-per-prompt every
prompt has as many. Response j of a prompt is its sample j. After a kill, the same command goes on
after the last batch that was written in full.
"""

import math
from pathlib import Path

from pydantic import Field, Json, model_validator

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.experts.opening import Shares, engine_for
from online_il.files import write_table
from online_il.generation.resume import Resume, respond
from online_il.generation.tokens import vocabulary_hash
from online_il.grading import graded_samples
from online_il.models import form_hash, is_mixture, newest_step, weights_hash
from online_il.program import deadline
from online_il.program.cli import RunOptions, log, main
from online_il.program.progress import report
from online_il.provenance import file_hash, identities, libraries, versions
from online_il.records import Samples, read_prompts


class Options(RunOptions):
    checkpoints: Path = Field(description="the expert's folder")
    prompts: Path = Field(description="table of prompts")
    splits: str = Field("train", description="which prompts, commas between")
    count: int | None = Field(None, description="number of responses in all")
    samples_per_prompt: int | None = Field(None, description="number of responses a prompt")
    sampling: Json[Sampling] = Field(description="sampling settings, JSON")
    generation: Json[Generation] = Field(description="generation settings, JSON")
    state: Path = Field(description="what it goes on from; kept")
    output: Path = Field(description="table to write")
    progress: Path = Field(description="progress file")
    limit_minutes: float = Field(
        math.inf, description="time limit of the job, before which it ends"
    )
    unit_rows: int = Field(0, ge=0, description="most responses of a batch that is kept; 0: any")

    @model_validator(mode="after")
    def _has_one_number(self) -> "Options":
        if (self.count is None) == (self.samples_per_prompt is None):
            raise ValueError("one of the arguments --count and --samples-per-prompt is required")
        return self


def run(options: Options) -> None:
    prompts = read_prompts(options.prompts, options.splits.split(","))
    count = options.count or options.samples_per_prompt * len(prompts)
    keys = [(i % len(prompts), i // len(prompts)) for i in range(count)]
    sampling, generation = options.sampling, options.generation
    policy = newest_step(options.checkpoints)
    report(options.progress, done=0, total=count, unit="response")
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
    engine = engine_for(policy, generation)
    engine.load(policy)
    responses = respond(
        engine,
        [prompts["text"][prompt] for prompt, _ in keys],
        keys,
        sampling=sampling,
        seed=options.seed,
        resume=Resume(
            options.state,
            own,
            options.code,
            tuple(accepted),
            deadline.until(options.limit_minutes),
            options.unit_rows,
        ),
        done=lambda rows: report(options.progress, done=rows, total=count, unit="response"),
    )
    name = f"{options.run}/{policy.name}"
    rows = graded_samples(prompts, keys, responses, policy=name, seed=options.seed)
    if is_mixture(policy):
        Shares(policy, generation).add(rows, prompts)
    log("sampled", responses=len(rows), accuracy=sum(r["correct"] for r in rows) / len(rows))
    write_table(rows, Samples, options.output, provenance)
    report(options.progress, done=count, total=count, unit="response")


if __name__ == "__main__":
    main(run, Options, __doc__)
