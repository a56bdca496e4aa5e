"""The arguments and the outputs that `grpo`, `sft` and `distill` have in common."""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from online_il.files import write_json, write_table
from online_il.models import link_tree, weights_hash
from online_il.program.cli import add_run
from online_il.provenance import file_hash, identities, libraries, versions
from online_il.records import Checkpoint, RunRecord, Training
from online_il.training.common import Recorder, main_process, processes
from online_il.training.resume import Saving


def add_training(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of every program that trains a run."""
    add_run(arguments)
    arguments.add_argument("--settings", required=True, help="settings of the method, JSON")
    arguments.add_argument("--steps", type=int, required=True, help="steps of the method")
    arguments.add_argument("--learning-rate", type=float, required=True, help="learning rate")
    arguments.add_argument("--keep", required=True, help="steps to publish, with commas between")
    arguments.add_argument("--base", type=Path, required=True, help="policy to start from")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--checkpoints", type=Path, required=True, help="folder to write")
    arguments.add_argument("--training", type=Path, required=True, help="training table to write")
    arguments.add_argument("--record", type=Path, required=True, help="manifest to write")
    add_saving(arguments)


def add_saving(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of every program that trains anything: where it goes on from, and how."""
    arguments.add_argument("--state", type=Path, required=True, help="what it goes on from; kept")
    arguments.add_argument(
        "--save-minutes", type=float, default=10, help="longest time between two checkpoints"
    )
    arguments.add_argument("--progress", type=Path, required=True, help="progress file")
    arguments.add_argument("--hardware", choices=["cpu", "gpu"], default="cpu", help="trained on")


NOT_IDENTITY = {"state", "save_minutes", "progress", "checkpoints", "training", "record", "code"}
"""Options that change no number; the code has a place of its own in the identity."""


def saving_of(options: argparse.Namespace, **inputs: str) -> Saving:
    """Describe what a run goes on from; `inputs` are the hashes of the files that it reads."""
    options_of_run = {k: v for k, v in vars(options).items() if k not in NOT_IDENTITY}
    wanted = {k: v for k, v in options_of_run.items() if not isinstance(v, Path)}
    own, *accepted = identities(
        options.code, options=wanted, inputs=inputs, processes=processes(), versions=libraries()
    )
    return Saving(options.state, own, options.save_minutes, options.code, tuple(accepted))


def lay_out(recorder: Recorder, saving: Saving, options: argparse.Namespace) -> None:
    """Give the published policies their place among the job's outputs: links, not copies."""
    shutil.rmtree(options.checkpoints, ignore_errors=True)
    options.checkpoints.mkdir(parents=True)
    for checkpoint in recorder.checkpoints:
        name = f"step{checkpoint.step}"
        link_tree(saving.published / name, options.checkpoints / name)


def steps_to_publish(options: argparse.Namespace) -> list[int]:
    """List the steps to publish."""
    return [int(step) for step in options.keep.split(",")]


def publish(
    recorder: Recorder,
    saving: Saving,
    options: argparse.Namespace,
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
        seed=options.seed,
        settings=json.loads(options.settings)
        | {
            "steps": options.steps,
            "learning_rate": options.learning_rate,
            "hardware": options.hardware,
            "processes": processes(),
        },
        checkpoints=recorder.checkpoints,
        initial_weights_hash=weights_hash(options.base),
        expert_hash=expert_hash,
        prompts_hash=file_hash(options.prompts),
        code_hash=options.code,
        versions=versions(),
    )
    write_table(recorder.rows, Training, options.training, record.model_dump())
    write_json(record, options.record)


def publish_base(
    options: argparse.Namespace,
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
    link_tree(source, options.checkpoints / "step0")
    start = Checkpoint(
        step=0,
        updates=0,
        samples=0,
        tokens=0,
        device_seconds=0.0,
        weights_hash=weights_hash(options.checkpoints / "step0"),
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
    # A base that was not trained here has a table without rows.
    write_table(rows or Training.empty(), Training, options.training, record.model_dump())
    write_json(record, options.record)
