"""Blocks in the DAG: runs, mixtures and comparisons of a seed go back to the base of that seed."""

import json
import re
import shlex
from pathlib import Path

import pytest
from project import copy_of_project, planned, snakemake
from test_mixture_study import TOY

# Narrow is one for all, wide one of each seed; one run has a seed of its own choice.
WIDE = TOY[TOY.index("      - name: narrow") : TOY.index("    runs:")]
WIDE = WIDE.replace("narrow", "wide").replace("        seed: 2\n", "")
OWN = TOY.replace("    runs:\n", WIDE + "    runs:\n", 1).replace(
    "  - name: countdown\n", "  - name: countdown\n    seeds: [5, 3, 8]\n    base: {seed: null}\n"
)
OWN = OWN.replace("theory: null\n", "theory: null\nblocks: 2\n") + (
    "      - {name: sft-wide, method: sft, expert: expert, steps: 2, learning_rate: 0.001,\n"
    "         start: wide, seeds: [3]}\n"
)
SHARED = OWN.replace("base: {seed: null}", "base: {seed: 7}")
SEEDS = ("3", "5")
RESULTS = "results/toy"


def commands(folder: Path, text: str) -> list[dict[str, str]]:
    """The options of every job that a dry run plans, with the program's name."""
    (folder / "config" / "toy.yaml").write_text(text)
    status, output = snakemake(folder, "-n", "-p", "--configfile", "config/toy.yaml")
    assert status == 0, output[-3000:]
    found = []
    for line in output.splitlines():
        if line.startswith("Shell command: ") and (name := re.search(r"scripts/(\w+)\.py", line)):
            words = shlex.split(line.removeprefix("Shell command: ").partition(" > ")[0])
            options, key = {"program": name[1], "rules": " ".join(planned(output))}, ""
            for word in words:
                if word.startswith("--"):
                    key, _, value = word[2:].partition("=")
                    options[key] = value
                elif key:
                    options[key] = f"{options[key]} {word}".strip()
            found.append(options)
    return found


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    return copy_of_project(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def own(checkout) -> list[dict[str, str]]:
    return commands(checkout, OWN)


@pytest.fixture(scope="module")
def shared(checkout) -> list[dict[str, str]]:
    return commands(checkout, SHARED)


def of(jobs: list[dict[str, str]], *programs: str) -> list[dict[str, str]]:
    return [job for job in jobs if job["program"] in programs]


def place(run: str, seed: str) -> str:
    return f"{RESULTS}/runs/countdown/{run}/seed{seed}/checkpoints"


def bases(jobs: list[dict[str, str]]) -> set[tuple[str, str]]:
    return {(job["run"], job["seed"]) for job in of(jobs, "pretrain")}


def test_each_seed_trains_its_bases_and_one_that_serves_all_is_trained_once(own, shared):
    wide = {("wide", seed) for seed in SEEDS}
    assert bases(own) == {("base", "3"), ("base", "5"), ("narrow", "2")} | wide
    assert bases(shared) == {("base", "7"), ("narrow", "2")} | wide
    for jobs in (own, shared):
        for job in of(jobs, "pretrain"):
            assert json.loads(job["settings"])["seed"] == int(job["seed"])


@pytest.mark.parametrize("name", ["own", "shared"])
def test_each_run_starts_from_the_base_of_its_seed(name, request):
    jobs = of(request.getfixturevalue(name), "grpo", "sft", "distill")
    runs = {(job["run"], job["seed"]) for job in jobs}
    assert {seed for _, seed in runs} == set(SEEDS)
    assert {seed for run, seed in runs if run == "sft-wide"} == {"3"}
    for job in jobs:
        run, seed = job["run"], job["seed"]
        begun = place("base", seed if name == "own" else "7") + "/step0"
        if run.endswith("-narrow"):
            begun = place("narrow", "2") + "/step0"
        elif run.endswith("-wide"):
            begun = place("wide", seed) + "/step0"
        elif run.endswith("-warm"):
            begun = place("sft-mixture", seed) + "/step1"
        assert job["base"] == begun, (run, seed)


@pytest.mark.parametrize("name", ["own", "shared"])
def test_experts_samples_and_mixtures_are_those_of_the_seed(name, request):
    jobs = request.getfixturevalue(name)
    mixed = of(jobs, "mix")
    assert {job["seed"] for job in mixed} == set(SEEDS)
    for job in mixed:
        assert json.loads(job["policies"]) == {"expert": place("expert", job["seed"])}
    for job in of(jobs, "sft", "distill"):
        for key in ("demonstrations", "expert-checkpoints"):
            if key in job:
                assert f"/seed{job['seed']}" in job[key], (job["run"], job["seed"])
    for job in of(jobs, "evaluate"):
        assert job["checkpoints"] == place(job["run"], job["seed"])


def test_every_policy_is_evaluated_and_nothing_else(own, shared):
    trained = {(job["run"], job["seed"]) for job in of(own, "grpo", "sft", "distill", "mix")}
    for jobs in (own, shared):
        evaluated = {(job["run"], job["seed"]) for job in of(jobs, "evaluate")}
        assert evaluated == trained | bases(jobs)


@pytest.mark.parametrize("name", ["own", "shared"])
def test_a_student_is_put_before_the_base_of_its_seed(name, request):
    jobs = of(request.getfixturevalue(name), "divergence")
    assert len(jobs) > 5
    for job in jobs:
        by_seed = json.loads(job["seeds"])
        run = job["output"].rpartition("/")[2].removesuffix(".parquet")
        for seed, roles in by_seed.items():
            base = roles["base"]["name"]
            own_seed = {"base": seed if name == "own" else "7", "narrow": "2", "wide": seed}[base]
            assert roles["base"]["checkpoints"] == place(base, own_seed)
            folder = f"{RESULTS}/eval/countdown/{base}/seed{own_seed}"
            assert roles["base"]["evaluations"] == folder
            assert roles["student"]["checkpoints"] == place(run, seed)
            if roles["best"] and roles["best"]["name"] == "expert":
                assert roles["best"]["checkpoints"] == place("expert", seed)
        assert job["responses"] == "2"


def test_figures_and_verdicts_are_of_all_blocks_that_are_run(own):
    assert {"figure5", "figure7", "table1", "claims", "report_page"} <= set(own[0]["rules"].split())
    (claims,) = of(own, "claims")
    assert "looks" not in claims
    (design,) = json.loads(claims["designs"]).values()
    assert len(design["seeds"]) == 2 and design["whole"] == ["forgetting"]


def test_the_miniature_is_looked_at_as_planned_with_prompts_that_are_all_there_are(checkout):
    config = ("--configfile", "config/mini.yaml", "--config", "blocks=6")
    status, output = snakemake(checkout, "claims", "-n", "-p", *config)
    assert status == 0, output[-3000:]
    (line,) = [line for line in output.splitlines() if "/claims.py " in line]
    assert " --looks 3 6 10 " in line
    (given,) = [w for w in shlex.split(line) if w.startswith("--designs=")]
    (design,) = json.loads(given.removeprefix("--designs=")).values()
    assert set(design.pop("whole")) == {"id", "forgetting"}
    assert design == {"seeds": [11, 12, 13, 14, 15, 16], "shared_bases": []}
    seeds = set(re.findall(r"train the base base of countdown, seed (\d+)", output))
    assert seeds == {"11", "12", "13", "14", "15", "16"}
