"""Families of claims and conjunctions: what is corrected for what, and how often that errs."""

import math

import numpy as np
import pytest
from scipy import stats
from test_claims import draft

from online_il.claims.drafts import Draft, finish, measure, region
from online_il.claims.judge import conjunction
from online_il.claims.records import ClaimVerdict
from online_il.config.claims import ConjunctionClaim
from online_il.statistics.effects import Effect, Part, holm


def equivalences(*values: float) -> list[ClaimVerdict]:
    """Claims of ±0.05, of one family, with half-widths of 0.035."""
    drafts = [draft(str(index)) for index in range(len(values))]
    for one, value in zip(drafts, values, strict=True):
        effect = Effect(value, (Part(0.035**2 / stats.t.isf(0.025, 50) ** 2, 50),), 3, 51)
        measure(one, effect, region("within", 0.05), ratio=False)
    return finish(drafts)


def test_what_the_family_leaves_no_result_for_is_said_so():
    """No difference at all has p 0.006: enough for one of four at Holm's first step, not of ten."""
    words = "No result could have supported"
    assert not any(words in one.note for one in equivalences(0.02, 0.02, 0.02, 0.02))
    assert all(words in one.note for one in equivalences(*[0.02] * 10))
    # The other nine are shown already, so that Holm's last step is this one's: its own level.
    assert words not in equivalences(0.02, *[2.0] * 9)[0].note


def test_a_family_is_one_of_a_task():
    """An equivalence that holds in one task holds with fifteen more tasks, too."""
    drafts = []
    for number in range(16):
        one = draft(f"t{number}")
        one.fields["task"] = f"t{number}"
        measure(one, Effect(0.0, (Part(0.0004, 50),), 3, 51), region("within", 0.05), ratio=False)
        drafts.append(one)
    found = finish(drafts)
    assert {one.verdict for one in found} == {"supported"}
    assert all(one.p_holm == one.p for one in found)


def test_claims_about_one_number_count_once():
    """The interval that holds the truth errs about no margin: 0 and 0.05 are no two tests."""
    drafts = [draft("a"), draft("b"), draft("c", "other")]
    for one, margin in zip(drafts, (0.0, 0.05, 0.05), strict=True):
        one.number = "difference"
        measure(
            one, Effect(0.1, (Part(0.0005, 100),), 3, 101), region("above", margin), ratio=False
        )
    found = finish(drafts)
    assert [one.verdict for one in found] == ["supported"] * 3
    assert [one.p_holm for one in found] == pytest.approx([one.p for one in found])
    assert found[2].note == "The same number as “T”, and counted there."


def test_numbers_of_two_tasks_are_two():
    drafts = [draft("a"), draft("b")]
    for one, task in zip(drafts, ("t", "u"), strict=True):
        one.number, one.fields["task"] = "difference", task
        measure(one, Effect(0.1, (Part(0.0005, 100),), 3, 101), region("above", 0.05), ratio=False)
    assert not any("same number" in one.note for one in finish(drafts))


def test_holm_over_numbers_keeps_its_level():
    """Three true hypotheses about each of two numbers: an error in no more than 5 of 100."""
    rng, errors = np.random.default_rng(31), 0
    for _ in range(4000):
        p = stats.norm.sf(rng.normal(0, 1, 2)).repeat(3)
        errors += holm(p.ravel(), [0, 0, 0, 1, 1, 1]).min() < 0.05
    assert errors / 4000 < 0.05 + 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert errors / 4000 > 0.04  # Six that count would leave 1.7 %.


# ---- conjunctions ----


def whole_of(parts: dict[str, list[tuple[float, float]]]) -> ClaimVerdict:
    """A conjunction of claims below 0.05, a row an effect and its p. None: it was not run."""
    claim = ConjunctionClaim(
        id="x", title="T", family="f", source="S", kind="conjunction", claims=list(parts)
    )
    by_claim: dict[str, list[Draft]] = {}
    for name, rows in parts.items():
        by_claim[name] = [draft(f"{name}{index}") for index in range(max(1, len(rows)))]
        for one, (value, p) in zip(by_claim[name], rows, strict=False):
            one.side = "supported" if value < 0.05 else "contradicted"
            one.fields |= {"effect": value, "p": p}
    return conjunction(claim, by_claim)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        # Each at its own level: with Holm none of three p of 0.04 would be left.
        ({"a": [(0.0, 0.04)], "b": [(0.0, 0.04), (0.0, 0.04)]}, "supported"),
        ({"a": [(0.0, 0.001)], "b": [(0.0, 0.06)]}, "undecided"),
        # One of three that fails needs p below 0.05 / 3.
        ({"a": [(0.1, 0.01)], "b": [(0.0, 0.001), (0.0, 0.3)]}, "contradicted"),
        ({"a": [(0.1, 0.03)], "b": [(0.0, 0.001), (0.0, 0.3)]}, "undecided"),
        ({"a": [(0.1, 0.03)]}, "contradicted"),
        ({"a": [(0.0, 0.001)], "b": []}, "undecided"),
        ({"a": [], "b": []}, "not run"),
    ],
)
def test_a_conjunction_needs_all_of_its_claims_each_at_its_own_level(parts, expected):
    found = whole_of(parts)
    assert found.verdict == expected
    assert ("Contradicted by “T”." in found.note) == (expected == "contradicted")


def test_a_conjunction_without_a_true_part_is_supported_in_no_more_than_a_part_is():
    """Parts at their margins, independent: all supported together in 2.5 of 100 at the most."""
    rng, supported, contradicted = np.random.default_rng(32), 0, 0
    for _ in range(4000):
        rows = [(0.05 + z / 100, 2 * float(stats.norm.sf(abs(z)))) for z in rng.normal(0, 1, 3)]
        verdict = whole_of({"a": rows[:1], "b": rows[1:]}).verdict
        supported += verdict == "supported"
        contradicted += verdict == "contradicted"
    assert supported / 4000 < 0.001
    # At the margin it is the true claim: wrongly contradicted in 2.5 %, for all parts together.
    assert contradicted / 4000 < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 4000)


def test_a_part_within_its_margin_that_is_not_zero_is_said_with_its_size():
    claim = ConjunctionClaim(
        id="x", title="T", family="f", source="S", kind="conjunction", claims=["a", "b", "c"]
    )
    by_claim = {name: [draft(name, side="below")] for name in "abc"}
    for name, (low, high) in zip(
        "abc", ((0.008, 0.028), (-0.01, 0.03), (-0.03, -0.01)), strict=True
    ):
        fields = {"title": name.upper(), "task": "t", "unit": "accuracy", "p": 0.001}
        fields |= {"effect": (low + high) / 2, "low": low, "high": high}
        by_claim[name][0].side = "supported"
        by_claim[name][0].fields |= fields
    note = conjunction(claim, by_claim).note
    assert "“A”: +0.018 [+0.008, +0.028], below 0.05 and not zero." in note
    assert "“B”" not in note and "“C”" not in note


def test_what_holm_and_the_family_refuse_is_said_once():
    found = equivalences(*[0.012] * 10)[0]
    assert found.verdict == "undecided"
    assert "By itself supported; as one of 10 claims of its family, as the others" in found.note
    assert "No result could" not in found.note
