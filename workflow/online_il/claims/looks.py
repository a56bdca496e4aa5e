"""Claims judged at several looks at a study that grows: what is carried on, what is kept.

A look is judged again from its own blocks whenever a later one is, so nothing is stored between
them: the first blocks of a study are the same for all of its looks.
"""

from collections.abc import Iterable, Mapping, Sequence

from online_il.claims.drafts import CONTRADICTED, SUPPORTED, Draft
from online_il.claims.records import ClaimVerdict


def carry_over(earlier: Iterable[Draft], now: Iterable[Draft]) -> None:
    """Give each claim the most telling look so far: the side and the p of the smaller p.

    p is corrected for all planned looks, so that the smallest of them is a p value, too.
    """
    before = {draft.fields["id"]: draft for draft in earlier}
    for draft in now:
        old = before.get(draft.fields["id"])
        p, old_p = draft.fields.get("p"), old.fields.get("p") if old else None
        if old and p is not None and old_p is not None and old_p < p and old.side not in old.barred:
            draft.side, draft.fields["p"], draft.barred = old.side, old_p, old.barred


def kept(rows_by_look: Mapping[int, Sequence[ClaimVerdict]]) -> list[ClaimVerdict]:
    """Issue the last look's rows, each with the verdict of the first look that decided it.

    The keys are the blocks of each look, in order. Effects and intervals are the last look's. The
    theory has no blocks, and no look decides it.
    """
    looks = list(rows_by_look)
    first: dict[str, tuple[int, ClaimVerdict]] = {}
    for look in looks:
        for row in rows_by_look[look]:
            if row.verdict in (SUPPORTED, CONTRADICTED):
                first.setdefault(row.id, (look, row))
    issued = []
    for row in rows_by_look[looks[-1]]:
        if row.kind != "theory" and (found := first.get(row.id)):
            look, decided = found
            note = "" if look == looks[-1] else f"Decided at the look of {look} blocks."
            new = {"verdict": decided.verdict, "note": f"{row.note} {note}".strip()}
            row = row.model_copy(update=new | {"decided_at": look})
        issued.append(row)
    return issued
