"""The paper's Countdown data: the hub's instances, and out-of-distribution ones from our generator.

The first rows are train, the next ones id (Appendix D.1). About one row in twelve of the data set
is a reordering of another, so training instances that are a test instance up to the order of their
numbers are dropped; the paper does not say that it did so. The paper's out-of-distribution
instances are ours: 4 operands, larger ranges (Table 3), solvable, and none of them in training.
"""

import random
from itertools import islice

from online_il import hub
from online_il.chat import as_text
from online_il.config.data import CountdownHub
from online_il.errors import InputError
from online_il.program.cli import log
from online_il.tasks.countdown import Instance, generate, key, reachable
from online_il.tasks.countdown_prompts import chat_messages
from online_il.tasks.mmlu import with_mmlu
from online_il.tasks.prompt import Converted, Prompt, without_tests

CHECKED = 1_000
"""Training instances whose solvability is checked; all would take minutes."""


class CountdownRow(hub.HubRow):
    """A row of Jiayi-Pan/Countdown-Tasks-3to4."""

    target: int
    nums: list[int]


def prompts(settings: CountdownHub) -> Converted:
    """Make splits train, id and ood, every prompt with the paper's chat and the primed answer.

    All instances are checked against the in-distribution ranges. Those that no expression over all
    the numbers solves are counted, in id and in a sample of train, and stay.
    """
    source = settings.dataset
    found = [
        _instance(settings, number, row)
        for number, row in enumerate(
            islice(hub.rows(source, CountdownRow), settings.train + settings.id), 1
        )
    ]
    if len(found) < settings.train + settings.id:
        raise InputError(
            f"data set {source.repo}@{source.revision}: {len(found)} rows, fewer than "
            f"{settings.train} (train) + {settings.id} (id); lower them or correct `files`"
        )
    tests = found[settings.train :]
    train, dropped = without_tests(found[: settings.train], tests, lambda row: key(*row))
    outside = _generated(settings, frozenset(key(*row) for row in found))
    rng = random.Random(settings.data_seed)
    sample = rng.sample(train, min(CHECKED, len(train)))
    counts = {
        "train_dropped": dropped,
        "id_unsolvable": sum(map(_unsolvable, tests)),
        "train_checked": len(sample),
        "train_unsolvable": sum(map(_unsolvable, sample)),
    }
    if lost := counts["id_unsolvable"] + counts["train_unsolvable"]:
        log(f"warning: {lost} of the checked instances have no solution; accuracy stays below 1")
    hub_rows = (source.repo, source.revision)
    ours = ("online_il.tasks.countdown.generate", f"seed {settings.data_seed}")
    asked = [
        _prompt(split, instance, *origin)
        for split, origin, instances in (
            ("train", hub_rows, train),
            ("id", hub_rows, tests),
            ("ood", ours, outside),
        )
        for instance in instances
    ]
    return with_mmlu(Converted(asked, counts), settings)


def _instance(settings: CountdownHub, number: int, row: CountdownRow) -> Instance:
    ranges = settings.in_distribution
    (least, most), (low, high) = ranges.numbers, ranges.answers
    if not (
        len(row.nums) in ranges.operands
        and all(least <= n <= most for n in row.nums)
        and low <= row.target <= high
    ):
        raise InputError(
            f"data set {settings.dataset.repo}@{settings.dataset.revision}: row {number}: numbers "
            f"{row.nums} and target {row.target} leave in_distribution ({len(row.nums)} operands; "
            f"allowed: {ranges.operands}, numbers {least}-{most}, answers {low}-{high}); correct it"
        )
    return Instance(tuple(row.nums), row.target)


def _unsolvable(instance: Instance) -> bool:
    return instance.target not in reachable(instance.numbers)


def _generated(
    settings: CountdownHub, exclude: frozenset[tuple[tuple[int, ...], int]]
) -> list[Instance]:
    ranges = settings.out_of_distribution
    try:
        return generate(
            settings.ood,
            operands=ranges.operands,
            number_range=ranges.numbers,
            target_range=ranges.answers,
            seed=settings.data_seed,
            exclude=exclude,
        )
    except ValueError as error:
        raise InputError(f"out_of_distribution: {error}") from None


def _prompt(split: str, instance: Instance, source: str, revision: str) -> Prompt:
    answer = {"grader": "countdown", "numbers": instance.numbers, "target": instance.target}
    return Prompt(split, as_text(chat_messages(*instance)), answer, source, revision)
