"""Claims that rest on a low-rank adapter name it a student of another class; so does the page."""

from pathlib import Path

import pytest
from fake_study import RUNS, edit, fake_study

from online_il.claims.judge import Evidence, judge
from online_il.claims.measured import Measurements, adapters_of
from online_il.config.claims import Claims
from online_il.config.study import load
from online_il.layout import Layout
from online_il.report.page import page
from online_il.statistics.looks import Plan
from online_il.store import build

ROOT = Path(__file__).parents[2]
ANOTHER = "a student of another class"
CLAIM = {"title": "T", "family": "f", "source": "S", "note": "Chosen before.", "margin": 0.05}
ENDS = {"kind": "equivalence", "benchmarks": "in-distribution", "statistic": "accuracy"}
CLAIMS = Claims.model_validate(
    {
        "resamples": 1000,
        "seed": 1,
        "claims": [
            CLAIM | ENDS | {"id": "adapted", "runs": ["sft-realizable", "expert"]},
            CLAIM | ENDS | {"id": "whole", "runs": ["expert", "sft-other"]},
            CLAIM
            | {"id": "drop", "kind": "degradation", "benchmarks": "forgetting"}
            | {"statistic": "final-drop", "runs": ["sft-realizable"]},
            CLAIM
            | ENDS
            | {"id": "clock", "kind": "non-inferiority", "statistic": "samples", "margin": 1.5}
            | {"runs": ["sft-other", "sft-other-too"]},
            CLAIM | ENDS | {"id": "absent", "runs": ["sft-realizable", "nobody"]},
            {
                **{key: CLAIM[key] for key in ("title", "family", "source", "note")},
                "id": "both",
                "kind": "conjunction",
                "claims": ["adapted", "whole"],
            },
        ],
    }
)
STUDENT = RUNS["sft-realizable"]
LORA = {"steps": 1, "lora": {"rank": 32, "alpha": 64, "target_modules": "all-linear"}}


def results(folder: Path, *adapted: str) -> Path:
    runs = RUNS | {"sft-other": STUDENT, "sft-other-too": STUDENT}
    fake_study(folder, runs=runs)
    for run in adapted:
        for record in folder.glob(f"runs/*/{run}/*/run.json"):
            edit(record, settings=LORA)
    database = Layout(folder).database("measurements")
    database.parent.mkdir()
    build(folder, database)
    return database


def notes(database: Path, plan: Plan | None = None) -> dict[str, str]:
    evidence = Evidence(Measurements(database), None, [], adapters_of(database))
    return {row.id: row.note for row in judge(CLAIMS, evidence, plan, 3)}


@pytest.fixture(scope="module")
def student(tmp_path_factory) -> Path:
    return results(tmp_path_factory.mktemp("student"), "sft-realizable")


def test_each_claim_that_rests_on_an_adapter_says_so_beside_its_note(student):
    assert adapters_of(student) == {("countdown", "sft-realizable"): 32}
    found = notes(student)
    said = {name for name, note in found.items() if ANOTHER in note}
    assert said == {"countdown-adapted", "countdown-drop", "both"}
    for name in said:
        assert found[name].startswith("Chosen before.")
        assert "sft-realizable (rank 32)" in found[name] and "expert (" not in found[name]


def test_it_is_said_at_every_look(student):
    found = notes(student, Plan((2, 3)))
    assert ANOTHER in found["countdown-adapted"] and ANOTHER not in found["countdown-whole"]


def test_a_claim_about_speed_rests_on_the_expert_too(tmp_path):
    found = notes(results(tmp_path, "expert"))
    assert {name for name, note in found.items() if ANOTHER in note} == {
        "countdown-adapted",
        "countdown-whole",
        "countdown-clock",
        "both",
    }
    assert "expert (rank 32)" in found["countdown-clock"]


def test_a_study_without_adapters_says_nothing_of_them(tmp_path):
    database = results(tmp_path)
    assert adapters_of(database) == {}
    assert not any("adapter" in note for note in notes(database).values())


@pytest.mark.slow
def test_the_page_names_the_adapters(student, tmp_path):
    def shown(database: Path) -> str:
        study, config = load(ROOT / "config" / "mini.yaml"), ROOT / "config" / "mini.yaml"
        return page(
            database.parents[1],
            study,
            config,
            ROOT / "docs" / "paper.md",
            {"countdown": 0.25},
            None,
        )

    text = shown(student)
    assert "countdown: Low-rank adapters (LoRA)" in text and "sft-realizable (rank 32)" in text
    assert "Low-rank adapters (LoRA)" not in shown(results(tmp_path))
