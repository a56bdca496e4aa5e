"""The arguments and the outputs that `grpo`, `sft` and `distill` have in common."""

import math
import shutil
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, Json

from online_il.config.lora import Lora
from online_il.config.settings import Settings
from online_il.files import write_json, write_table
from online_il.layout import step
from online_il.models import inference_dtype, link_tree, weights_hash
from online_il.program import deadline
from online_il.program.cli import RunOptions
from online_il.provenance import file_hash, identities, libraries, versions
from online_il.records import Checkpoint, RunRecord, Training
from online_il.training.common import Recorder, main_process, processes
from online_il.training.resume import Saving


class PolicyOptions(RunOptions):
    """Options of every program that makes a policy."""

    prompts: Path = Field(description="table of prompts")
    checkpoints: Path = Field(description="folder to write")
    training: Path = Field(description="training table to write")
    record: Path = Field(description="manifest to write")


class SavingOptions(PolicyOptions):
    """Options of every program that trains: how, and where it goes on from."""

    state: Path = Field(description="what it goes on from; kept")
    save_minutes: float = Field(10, description="longest time between two checkpoints")
    limit_minutes: float = Field(
        math.inf, description="time limit of the job, before which it saves"
    )
    progress: Path = Field(description="progress file")
    hardware: Literal["cpu", "gpu"] = Field("cpu", description="trained on: cpu or gpu")
    precision: Literal["mixed"] | None = Field(
        None, description="mixed: bfloat16 arithmetic on a CPU, too; single when left out"
    )

    @property
    def more_libraries(self) -> tuple[str, ...]:
        """Libraries that make the run besides those that make every one."""
        return ()


class TrainingOptions(SavingOptions):
    """Options of every program that trains a run from the base; each has its own `settings`."""

    settings: Json[Settings]
    steps: int = Field(description="steps of the method")
    learning_rate: float = Field(description="learning rate")
    keep: str = Field(description="steps to publish, with commas between")
    base: Path = Field(description="policy to start from")
    start: str = Field("base", description="its name: base, or <run>@<step>")

    @property
    def lora(self) -> Lora | None:
        """The adapter that is trained in the place of all weights, if any."""
        return getattr(self.settings, "lora", None)

    @property
    def more_libraries(self) -> tuple[str, ...]:
        """An adapter is peft's."""
        return ("peft",) if self.lora else ()

    @property
    def dtype(self) -> str:
        """The precision to load the base in: single where it is trained, or on a CPU."""
        return inference_dtype(self.hardware == "gpu") if self.lora else "float32"


NOT_IDENTITY = {
    "state",
    "save_minutes",
    "limit_minutes",
    "progress",
    "checkpoints",
    "training",
    "record",
    "code",
} | {"origin", "colocated_share"}
"""Options that change no number; the code has a place of its own in the identity."""


def saving_of(options: SavingOptions, **inputs: str) -> Saving:
    """Describe what a run goes on from; `inputs` are the hashes of the files that it reads."""
    paths = {name for name, value in options if isinstance(value, Path)}
    # An option that is left out changes no number, and was none to code that knew it not.
    unset = {"precision"} if options.precision is None else set()
    wanted = options.model_dump(mode="json", exclude=NOT_IDENTITY | paths | unset)
    own, *accepted = identities(
        options.code,
        options=wanted,
        inputs=inputs,
        processes=processes(),
        versions=libraries(*options.more_libraries),
    )
    return Saving(
        options.state,
        own,
        options.save_minutes,
        options.code,
        tuple(accepted),
        deadline.until(options.limit_minutes),
    )


def lay_out(recorder: Recorder, saving: Saving, options: PolicyOptions) -> None:
    """Give the published policies their place among the job's outputs: links, not copies."""
    shutil.rmtree(options.checkpoints, ignore_errors=True)
    options.checkpoints.mkdir(parents=True)
    for checkpoint in recorder.checkpoints:
        link_tree(
            step(saving.published, checkpoint.step), step(options.checkpoints, checkpoint.step)
        )


def steps_to_publish(options: TrainingOptions) -> list[int]:
    """List the steps to publish."""
    return [int(step) for step in options.keep.split(",")]


def publish(
    recorder: Recorder,
    saving: Saving,
    options: TrainingOptions,
    *,
    method: str,
    expert: str | None,
    expert_hash: str | None,
) -> None:
    """Write the policies, the training table and the manifest of a finished run."""
    if not main_process():
        return
    # The manifest names the policies: it is removed before they change and written after them.
    options.record.unlink(missing_ok=True)
    lay_out(recorder, saving, options)
    record = RunRecord(
        task=options.task,
        run=options.run,
        method=method,
        expert=expert,
        start=options.start,
        seed=options.seed,
        settings=options.settings.model_dump(mode="json")
        | {
            "steps": options.steps,
            "learning_rate": options.learning_rate,
            "hardware": options.hardware,
            "processes": processes(),
            **({"precision": options.precision} if options.precision else {}),
        },
        checkpoints=recorder.checkpoints,
        initial_weights_hash=weights_hash(options.base),
        expert_hash=expert_hash,
        prompts_hash=file_hash(options.prompts),
        code_hash=options.code,
        versions=versions(*options.more_libraries),
    )
    write_table(recorder.rows, Training, options.training, record.model_dump())
    write_json(record, options.record)


def publish_base(
    options: PolicyOptions,
    *,
    source: Path,
    method: str,
    settings: dict[str, Any],
    rows: list[dict[str, Any]],
    prompts_hash: str,
    initial_weights_hash: str | None = None,
    expert_hash: str | None = None,
) -> None:
    """Write the policy in `source`, the training table and the manifest of a base.

    A base is step 0 of every run that starts from it: what its own training took is in the table.
    """
    if not main_process():
        return
    options.record.unlink(missing_ok=True)
    shutil.rmtree(options.checkpoints, ignore_errors=True)
    options.checkpoints.mkdir(parents=True)
    link_tree(source, step(options.checkpoints))
    record_start(
        options,
        method=method,
        settings=settings,
        rows=rows,
        prompts_hash=prompts_hash,
        initial_weights_hash=initial_weights_hash,
        expert_hash=expert_hash,
    )


def record_start(
    options: PolicyOptions,
    *,
    method: str,
    settings: dict[str, Any],
    rows: list[dict[str, Any]],
    prompts_hash: str,
    initial_weights_hash: str | None = None,
    expert_hash: str | None = None,
) -> None:
    """Write the training table and the manifest of a policy that is its step 0 alone."""
    start = Checkpoint(
        step=0,
        updates=0,
        samples=0,
        tokens=0,
        device_seconds=0.0,
        weights_hash=weights_hash(step(options.checkpoints)),
    )
    record = RunRecord(
        task=options.task,
        run=options.run,
        method=method,
        expert=None,
        seed=options.seed,
        settings=settings,
        checkpoints=[start],
        initial_weights_hash=initial_weights_hash,
        expert_hash=expert_hash,
        prompts_hash=prompts_hash,
        code_hash=options.code,
        versions=versions(),
    )
    # What was not trained here has a table without rows.
    write_table(rows or Training.empty(), Training, options.training, record.model_dump())
    write_json(record, options.record)
