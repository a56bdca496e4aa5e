"""A plan for looking at a study while it grows, block by block.

Whoever looks at a result again and again, and stops where it is significant, errs more often than
each look does by itself: at 3, 6 and 10 blocks in 5 to 8 of 100 studies on a side instead of 2.5
(test_looks.py). So the error is planned for all looks together and split equally over them: each
look's interval leaves `TAIL` / looks on either side. By Bonferroni's inequality all of these
intervals hold the truth at once in 95 of 100 studies, however the looks depend on each other, so
that what one look has decided stays decided, and one may stop at any look for any reason. (Jennison
and Turnbull, Group Sequential Methods, 2000, ch. 9: repeated confidence intervals.)

That each interval holds it as often as it says is another matter: Student's t over a few blocks is
exact for normal effects, and knows nothing of a base that does otherwise and is not among them. So
blocks of which none differs decide nothing before the last look (`claims/drafts.py`).
"""

import itertools
from typing import NamedTuple

from online_il.statistics.intervals import TAIL


class Plan(NamedTuple):
    """Looks that were planned before the first, as numbers of blocks, growing."""

    looks: tuple[int, ...]

    @property
    def tail(self) -> float:
        """What an interval of any look leaves on each side."""
        return TAIL / len(self.looks)

    def reached(self, blocks: int) -> tuple[int, ...]:
        """List the looks that a study of so many blocks has come to."""
        return tuple(look for look in self.looks if look <= blocks)

    def following(self, blocks: int) -> int | None:
        """Return the next look of a study of so many blocks, or None after the last."""
        return next((look for look in self.looks if look > blocks), None)


def plan_of(looks: tuple[int, ...]) -> Plan:
    """Check a plan. Raises `ValueError` where it has no look, or one that adds no block."""
    if not looks or looks[0] < 2 or any(a >= b for a, b in itertools.pairwise(looks)):
        raise ValueError(
            f"looks {list(looks)}: give growing numbers of blocks, the first at least 2"
        )
    return Plan(looks)
