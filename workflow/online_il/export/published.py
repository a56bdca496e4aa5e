"""What a study knows of one of its policies: manifest, evaluations, prompts, where it began."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pyarrow.parquet as parquet

from online_il.benchmarks import ORDER
from online_il.errors import InputError, ParameterError
from online_il.layout import (
    Layout,
    Policy,
    existing_evaluations,
    existing_steps,
    responses_of,
    step,
)
from online_il.models import is_mixture, weights_hash
from online_il.records import (
    Checkpoint,
    EvaluationRecord,
    Prompts,
    RunRecord,
    read_record,
    read_table,
)
from online_il.statistics.intervals import Interval, mean_over_seeds


class Evaluated(NamedTuple):
    """One evaluation, with the interval of its accuracy."""

    record: EvaluationRecord
    responses: Path
    accuracy: Interval | None
    """None where a text is read, and nothing answered."""


class Published(NamedTuple):
    """A step of a policy, and what is known of it."""

    policy: Policy
    folder: Path
    record: RunRecord
    checkpoint: Checkpoint
    evaluations: list[Evaluated]
    """Empty where it is not evaluated yet."""
    prompts: pd.DataFrame
    """The task's tables (`Prompts`), one below the other."""
    lineage: list[RunRecord]
    """What it was trained from, one after the other, to a base."""
    expert: RunRecord | None
    """The manifest of its expert, where that is a policy of the study."""

    @property
    def sampled(self) -> list[Evaluated]:
        """The evaluations that are responses of the policy itself, not scores of choices."""
        own = [one for one in self.evaluations if one.record.sampling == "policy"]
        return [one for one in own if one.record.sampling_settings.get("max_new_tokens")]


def published(results: Path, name: str, number: int | None) -> Published:
    """Read what a study knows of a policy, `<task>/<run>/seed<k>`; its last step unless told.

    Raises `InputError` for a policy that the results do not hold whole, `ParameterError` for a
    step that it does not have.
    """
    layout = Layout(results)
    policy = _policy(layout, name)
    record = read_record(layout.record(*policy), RunRecord)
    checkpoint = _checkpoint(layout, policy, record, number)
    folder = step(layout.checkpoints(*policy), checkpoint.step)
    if is_mixture(folder):
        parts = ", ".join(record.settings.get("parts", {}))
        raise InputError(
            f"{policy}: a mixture of {parts} is no single model; name one of these, or a student "
            "that imitates it"
        )
    if weights_hash(folder) != checkpoint.weights_hash:
        raise InputError(
            f"{folder}: its weights have another hash than {layout.record(*policy)} names; delete "
            f"{folder.parent} and start the study again: Snakemake makes it anew"
        )
    tables = [read_table(path, Prompts) for path in layout.existing_prompts(policy.task)]
    return Published(
        policy,
        folder,
        record,
        checkpoint,
        _evaluations(layout, policy, checkpoint),
        pd.concat(tables, ignore_index=True),
        _lineage(layout, record),
        _expert(layout, policy, record),
    )


def _policy(layout: Layout, name: str) -> Policy:
    if not layout.results.is_dir():
        raise InputError(
            f"{layout.results}: no such folder; name a study's results, such as results/mini"
        )
    known = [one for one in layout.existing_policies() if layout.record(*one).is_file()]
    for one in known:
        if str(one) == name:
            return one
    listed = ", ".join(map(str, known[:12])) + (", ..." if len(known) > 12 else "")
    raise InputError(
        f"{layout.results}: no policy {name!r} in it; name <task>/<run>/seed<k>, there are "
        f"{listed or 'none: run the study first'}"
    )


def _checkpoint(
    layout: Layout, policy: Policy, record: RunRecord, number: int | None
) -> Checkpoint:
    folder = layout.checkpoints(*policy)
    there = {path.name for path in existing_steps(folder)}
    found = {one.step: one for one in record.checkpoints if step(folder, one.step).name in there}
    if not found:
        raise InputError(f"{folder}: no checkpoint in it; start the study again")
    wanted = max(found) if number is None else number
    if wanted not in found:
        raise ParameterError(f"`step`: {policy} has no step {wanted}; there are {sorted(found)}")
    return found[wanted]


def _evaluations(layout: Layout, policy: Policy, checkpoint: Checkpoint) -> list[Evaluated]:
    """Read the evaluations of these very weights, in the order of the benchmarks."""
    found = []
    for path in existing_evaluations(layout.evaluations(*policy))[0]:
        record = read_record(path, EvaluationRecord)
        if (record.step, record.weights_hash) == (checkpoint.step, checkpoint.weights_hash):
            accuracy = None if record.accuracy is None else accuracy_of(responses_of(path))
            found.append(Evaluated(record, responses_of(path), accuracy))
    order = {name: place for place, name in enumerate(ORDER)}
    return sorted(
        found,
        key=lambda one: (
            one.record.sampling != "policy",
            order.get(one.record.benchmark, len(order)),
        ),
    )


def accuracy_of(responses: Path) -> Interval:
    """Average what was answered, with the interval that prompts as these leave."""
    answered = parquet.read_table(responses, columns=["prompt_id", "correct"]).to_pandas()
    means_P = answered.groupby("prompt_id")["correct"].mean().to_numpy(dtype=float)
    return mean_over_seeds(means_P[None], responses=len(answered) // len(means_P))


def _lineage(layout: Layout, record: RunRecord) -> list[RunRecord]:
    """Follow by its weights what a policy was trained from, to a base that has nothing before."""
    runs = [read_record(path, RunRecord) for path in layout.existing_runs()]
    found: list[RunRecord] = []
    while record.initial_weights_hash and record.start:
        name = record.start.partition("@")[0]
        before = [
            one
            for one in runs
            if (one.task, one.run) == (record.task, name)
            and record.initial_weights_hash in {point.weights_hash for point in one.checkpoints}
        ]
        if not before or before[0] in found:
            break
        record = before[0]
        found.append(record)
    return found


def _expert(layout: Layout, policy: Policy, record: RunRecord) -> RunRecord | None:
    if record.expert is None:
        return None
    path = layout.record(policy.task, record.expert, policy.seed)
    return read_record(path, RunRecord) if path.is_file() else None
