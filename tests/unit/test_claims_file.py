"""The file of claims: sources, margins with reasons, and errors that name their line."""

from pathlib import Path

import pytest
import yaml

from online_il.config.claims import load_claims
from online_il.config.reading import ConfigError
from online_il.report.verdicts import ANSWER, FAMILIES

CLAIMS = Path(__file__).parents[2] / "config" / "claims.yaml"


def test_every_claim_has_its_source_and_a_margin_with_its_reason():
    claims = load_claims(CLAIMS).claims
    lines = CLAIMS.read_text().splitlines()
    margins = [number for number, line in enumerate(lines) if line.startswith("    margin:")]
    assert len(margins) == len([c for c in claims if c.kind != "conjunction"])
    for number in margins:
        assert lines[number - 1].startswith("    # ")
    assert all(claim.source and not claim.title.endswith(".") for claim in claims)


def test_all_of_the_papers_claims_are_there():
    families: dict[str, int] = {}
    for claim in load_claims(CLAIMS).claims:
        families[claim.family] = families.get(claim.family, 0) + 1
    assert families["figure1"] == 4 and families["figure2"] == 4 and families["figure4"] == 3
    # Lengths, four keywords in a row of their own each, and the wide margin: six at paper's scale.
    assert families["table1"] == 3
    assert {"theorem1", "theorem2", "theorem5", "abstract"} <= families.keys()
    # Ours, of the title's question: a family a question.
    ours = {"mixture": 3, "coverage": 2, "direction": 2, "habits": 2, "noise": 1, "title": 2}
    assert families.items() >= ours.items() and families["table1-online"] == 3
    assert families.keys() == {*FAMILIES, ANSWER}


@pytest.mark.parametrize(
    ("claim", "kind", "runs", "margin"),
    [
        ("mixture-online-ahead", "superiority", "distill-mixture sft-mixture", 0.2),
        ("mixture-online-reaches-learnable", "equivalence", "distill-mixture expert", 0.05),
        (
            "mixture-interaction",
            "interaction",
            "distill-mixture sft-mixture distill-realizable sft-realizable",
            0.1,
        ),
        (
            "coverage-online-flat",
            "range",
            "distill-mixture4 distill-mixture distill-mixture64 distill-mixture256",
            0.05,
        ),
        ("coverage-offline-starves", "superiority", "learnable-mixture4 learnable-mixture256", 0.1),
        ("forward-own-no-better", "non-inferiority", "forward-mixture sft-mixture", 0.05),
        ("reverse-expert-falls-short", "superiority", "distill-mixture soft-reverse-mixture", 0.05),
        (
            "habits-token-no-better",
            "non-inferiority",
            "distill-mixture-warm sft-mixture-warm",
            0.05,
        ),
        ("habits-response-escapes", "superiority", "response-mixture-warm sft-mixture-warm", 0.2),
        (
            "noise-no-interaction",
            "interaction",
            "distill-noisy sft-noisy distill-realizable sft-realizable",
            0.1,
        ),
    ],
)
def test_the_titles_question_is_asked_with_the_margins_that_were_fixed(claim, kind, runs, margin):
    (found,) = (one for one in load_claims(CLAIMS).claims if one.id == claim)
    assert (found.kind, found.runs, found.margin) == (kind, runs.split(), margin)
    assert "by hand when the margin was set" in found.note
    if kind == "interaction":
        assert found.expect == ("at-most" if claim == "noise-no-interaction" else "at-least")


def test_the_abstracts_online_half_is_about_runs_too():
    (answer,) = (one for one in load_claims(CLAIMS).claims if one.id == "abstract-misspecified")
    assert {"mixture-online-ahead", "mixture-online-reaches-learnable"} < set(answer.claims)


def test_every_run_of_a_claim_is_one_of_a_study_that_is_shipped():
    named = set()
    for path in CLAIMS.parent.glob("*.yaml"):
        for task in yaml.safe_load(path.read_text()).get("tasks", []):
            named |= {one["name"] for key in ("runs", "experts") for one in task.get(key, [])}
    for claim in load_claims(CLAIMS).claims:
        runs = [*getattr(claim, "runs", []), *(getattr(claim, "pair", None) or [])]
        assert set(runs) <= named, f"{claim.id}: no study has {sorted(set(runs) - named)}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("margin: 0.05", "margin: -0.05", "claims[0].margin = -0.05: Input should be greater"),
        ("margin: 1.5", "margin: 0.5", "a factor above 1 for times"),
        ("kind: equivalence", "kind: equal", 'claims[0].kind = "equal": there is no such kind'),
        ("runs: [sft-realizable, expert]", "runs: [SFT 1, expert]", "claims[0].runs[0]"),
        ("title: SFT", "titel: SFT", "claims[0].titel"),
        ("id: distill-no-more", "id: sft-realizable-matches # ", "this id stands here again"),
        ("claims: [sft-realizable-matches", "claims: [nothing", "no claim has this id"),
        ("resamples: 10000", "resamples: 10", "resamples = 10"),
    ],
)
def test_a_wrong_file_is_told_with_its_line(tmp_path, old, new, words):
    text = CLAIMS.read_text()
    assert old in text
    path = tmp_path / "claims.yaml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_claims(path)
    line = text.count("\n", 0, text.index(old)) + 1
    told = [one for one in str(caught.value).splitlines() if words in one]
    assert len(told) == 1
    number = int(told[0].strip().removeprefix(f"{path}:").partition(":")[0])
    # A claim as a whole is named where it begins.
    assert number == line or "a factor" in words
