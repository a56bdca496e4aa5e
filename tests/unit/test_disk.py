"""What preflight says a study writes, against what its programs write."""

import json
import os
from pathlib import Path

import pytest
import yaml
from in_process import run
from preflight_studies import study_raw, trainings_of
from test_ends import inputs

from online_il.config.architecture import Architecture
from online_il.config.study import Study, load
from online_il.preflight import memory
from online_il.preflight.report import Report
from online_il.training import resume
from online_il.training.state_size import CHECKPOINTS_KEPT, STATE_BYTES

ROOT = Path(__file__).parents[2]
SHAPE = Architecture(hidden_size=128, intermediate_size=256, layers=2, heads=2, head_dim=64)
RUN = {"name": "sft-self", "method": "sft", "expert": "base", "steps": 4, "learning_rate": 1e-3}


def study_of(hardware: str = "cpu", **task: object) -> Study:
    """One task with a random base and one run of four checkpoints, two seeds."""
    raw = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    raw |= {"hardware": hardware, "discrepancy": None, "theory": None}
    del raw["extends"]
    if hardware == "gpu":
        raw["generation"]["engine"] = "transformers"
        for rule in ("sft", "grpo", "distill"):
            raw["resources"][rule]["gpu"] = 1
    made = next(one for one in raw["tasks"] if one["name"] == "deepscaler")
    made["base"] |= {"architecture": SHAPE.model_dump(), "max_length": 512}
    made |= {"seeds": [1, 2], "runs": [RUN | {"checkpoints": [1, 2, 3]}]} | task
    return Study.model_validate(raw | {"tasks": [made]})


def du(folder: Path) -> int:
    """Bytes of the files in a folder, each once however many names it has."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            stat = path.stat()
            found[stat.st_dev, stat.st_ino] = stat.st_size
    return sum(found.values())


@pytest.mark.slow
def test_the_disk_that_is_said_is_the_disk_that_is_written(tmp_path, monkeypatch):
    study, results = study_of(seeds=[1]), tmp_path / "results"
    (task,) = study.tasks
    kept = memory.checkpoint_bytes(study, task, trainings_of(study), results)
    passing, count = memory.passing_bytes(study, [task], trainings_of(study), results, cores=4)
    assert count == 1
    most = []

    def measured(*arguments):
        most.append(du(results))
        seal(*arguments)

    seal = resume.seal
    monkeypatch.setattr(resume, "seal", measured)
    settings = task.base.model_dump_json()  # type: ignore[union-attr]
    model = task.base.model_dump_json(exclude={"finetuning"})  # type: ignore[union-attr]
    models = results / "models" / task.name / "base"
    run("fetch", "--settings", model, "--output", models)
    files = inputs(tmp_path)
    base = results / "runs" / task.name / "base" / "seed1"
    common = ["--task", task.name, "--seed", 1, "--code", "x"]
    common += ["--prompts", files / "prompts.parquet"]
    run(
        *("adopt", *common, "--run", "base", "--settings", settings, "--model", models),
        *("--checkpoints", base / "checkpoints", "--training", base / "training.parquet"),
        *("--record", base / "run.json"),
    )
    place = results / "runs" / task.name / "sft-self" / "seed1"
    state = results / "state" / task.name / "sft-self" / "seed1"
    method = study.methods.sft.model_copy(update={"batch_size": 2, "micro_batch_size": 2})
    run(
        *("sft", *common, "--run", "sft-self", "--settings", method.model_dump_json()),
        *("--steps", 4, "--learning-rate", 1e-3, "--keep", "1,2,3,4", "--expert", "base"),
        *("--base", base / "checkpoints" / "step0"),
        *("--demonstrations", files / "samples.parquet"),
        *("--checkpoints", place / "checkpoints", "--training", place / "training.parquet"),
        *("--record", place / "run.json", "--state", state, "--save-minutes", 0),
        *("--progress", tmp_path / "progress.json"),
    )
    assert du(results) == pytest.approx(kept, rel=0.2)
    # At the third checkpoint the two before it are still there.
    assert max(most) == pytest.approx(kept + passing, rel=0.2)
    assert max(most) > 2 * du(results), "most of it goes when the training is finished"
    # What is there is not asked for again.
    assert memory.checkpoint_bytes(study, task, [], results) == 0
    assert memory.passing_bytes(study, [task], [], results) == (0, 0)


# embedding; two blocks of attention with biases, feed-forward and norms; last norm.
PARAMETERS = 259 * 128 + 2 * (4 * 128 * 128 + 3 * 128 + 3 * 128 * 256 + 2 * 128) + 128


@pytest.mark.parametrize(("hardware", "each"), [("cpu", 4), ("gpu", 2)])
def test_checkpoints_are_counted_in_the_precision_they_are_written_in(tmp_path, hardware, each):
    study = study_of(hardware)
    (task,) = study.tasks
    # Four checkpoints of two seeds; the random base is written in single precision.
    expected = (8 * each + 4) * PARAMETERS
    assert memory.checkpoint_bytes(study, task, trainings_of(study), tmp_path) == expected


@pytest.mark.parametrize(("cores", "running"), [(1, 1), (2, 2), (16, 2), (None, 2)])
def test_so_many_trainings_are_counted_as_run_at_once(tmp_path, cores, running):
    study = study_of()
    one = (CHECKPOINTS_KEPT + 1) * STATE_BYTES * PARAMETERS
    assert (CHECKPOINTS_KEPT, STATE_BYTES) == (2, 12)
    found = memory.passing_bytes(study, study.tasks, trainings_of(study), tmp_path, cores)
    assert found == (running * one, running)


def test_a_base_that_is_trained_is_counted(tmp_path):
    study = load(ROOT / "config" / "mini.yaml")
    (task,) = study.tasks
    runs = sum(len(task.checkpoints_of(run)) * len(task.seeds) for run in task.runs)
    jobs = trainings_of(study)
    before = memory.checkpoint_bytes(study, task, jobs, tmp_path)
    without_base = [job for job in jobs if job.rule != "pretrain"]
    after = memory.checkpoint_bytes(study, task, without_base, tmp_path)
    # Each seed trains its own, and it has one checkpoint.
    assert len(jobs) - len(without_base) == len(task.seeds) == 3
    assert before / (runs + 3) == after / runs > 4 * 100_000


def test_what_a_stopped_training_has_written_is_not_counted_twice(tmp_path):
    study = study_of(seeds=[1])
    (task,) = study.tasks
    state = tmp_path / "state" / task.name / "sft-self" / "seed1"
    whole = memory.passing_bytes(study, [task], trainings_of(study), tmp_path)[0]
    (state / "update-00000002").mkdir(parents=True)
    (state / "update-00000002" / "optimizer.pt").write_bytes(b"x" * 1000)
    assert memory.passing_bytes(study, [task], trainings_of(study), tmp_path)[0] == whole - 1000


def test_a_model_on_another_disk_is_copied_and_counted(tmp_path, monkeypatch):
    raw = study_raw(tmp_path)
    study = Study.model_validate(raw)
    (task,) = study.tasks
    weights = tmp_path / "student" / "model.safetensors"
    size = weights.stat().st_size
    assert size > 0
    here = memory.checkpoint_bytes(study, task, trainings_of(study), tmp_path / "results")
    stat = Path.stat

    def elsewhere(path, **options):
        found = list(stat(path, **options))
        found[2] += path == weights  # The device.
        return os.stat_result(found)

    monkeypatch.setattr(Path, "stat", elsewhere)
    assert (
        memory.checkpoint_bytes(study, task, trainings_of(study), tmp_path / "results")
        == here + size
    )


def test_a_disk_that_holds_the_checkpoints_but_not_the_state_is_too_small(tmp_path, monkeypatch):
    study, report = study_of(), Report()
    kept = memory.checkpoint_bytes(study, study.tasks[0], trainings_of(study), tmp_path)
    passing, _ = memory.passing_bytes(study, study.tasks, trainings_of(study), tmp_path, 1)
    for spare, problems in ((-1, 1), (0, 0)):
        free = int(kept + passing) + spare
        usage = memory.shutil.disk_usage(tmp_path)._replace(free=free)
        monkeypatch.setattr(memory.shutil, "disk_usage", lambda _, usage=usage: usage)
        report = Report()
        memory.check_disk(study, study.tasks, trainings_of(study), tmp_path, report, cores=1)
        assert len(report.problems) == problems
    assert json.dumps(report.notes).count("go on from") == 1
