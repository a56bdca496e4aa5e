"""Checks of further test prompts: do they lie where their name says, and are there so many?

As those of `miniature_data` they are run when a study is loaded (`online_il.studies`).
"""

from collections.abc import Iterator

from online_il.config.data import CountdownHub
from online_il.config.further import BESIDE, FurtherPrompts
from online_il.config.miniature import Generated, Instances
from online_il.config.partial import spared
from online_il.config.problem import Problem
from online_il.config.tasks import Task
from online_il.tasks import miniature
from online_il.tasks.miniature_data import count_problems, range_problems, ranges_of, solvable

SPLITS = {"id2": ("train", "validation", "id"), "ood2": ("pretraining", "ood")}
"""By further benchmark: the splits of the first table that have the same ranges."""


@spared
def further_problems(task: Task) -> Iterator[Problem]:
    """Tell of further prompts in wrong ranges, and of too few instances where they are counted."""
    data = task.data
    if task.further is None or not isinstance(data, Generated | CountdownHub):
        return
    for name, asked in task.further.asked.items():
        wrong: list[Problem] = []
        if isinstance(data, Generated):
            wrong = list(range_problems(task.further, name))
        if name == "id2" and not wrong:
            wrong = list(_outside(asked, data.in_distribution))
        if isinstance(data, Generated) and not wrong:
            wrong = list(_too_few(data, name, asked))
        yield from (problem.below("further") for problem in wrong)


def _outside(asked: FurtherPrompts, inside: Instances) -> Iterator[Problem]:
    """Tell of ranges of prompts in distribution that leave those of training."""
    message, remedy = "this leaves data.in_distribution", "keep within it, or ask for ood2"
    if asked.operands is not None and not {*asked.operands} <= {*inside.operands}:
        yield Problem(("id2", "operands"), asked.operands, message, remedy)
    for key in ("numbers", "answers"):
        own, (low, high) = getattr(asked, key), getattr(inside, key)
        if own is not None and not low <= own[0] <= own[1] <= high:
            yield Problem(("id2", key), list(own), message, remedy)


def _too_few(data: Generated, name: str, asked: FurtherPrompts) -> Iterator[Problem]:
    """Tell of too few instances: more may be taken by the first table than is counted here."""
    usual: Instances = getattr(data, BESIDE[name])
    own = asked.instances(usual)
    splits = SPLITS[name] if _holds(own, usual) else ()
    common = ranges_of(data.in_distribution)
    within = data.value_range or (0, miniature.LARGEST)
    yield from count_problems(
        (name, "count"),
        "solvable instances" + (" that leave the in-distribution ranges" if name == "ood2" else ""),
        " + ".join([*splits, name]),
        sum(getattr(data, split) for split in splits) + asked.count,
        solvable(ranges_of(own), data.operators, within, common if name == "ood2" else None),
    )


def _holds(ranges: Instances, others: Instances) -> bool:
    """Say whether all instances in other ranges lie in these."""
    return {*others.operands} <= {*ranges.operands} and all(
        wide[0] <= narrow[0] and narrow[1] <= wide[1]
        for wide, narrow in ((ranges.numbers, others.numbers), (ranges.answers, others.answers))
    )
