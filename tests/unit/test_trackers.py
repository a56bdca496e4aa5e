"""Trackers are told the rows of the training tables, live, each once; no job knows of them."""

import importlib.util
import json
from pathlib import Path

import pytest
import warm
from preflight_studies import check, study_raw
from trackers_told import finished, row, stand_in, stand_in_writer, train, under_way

from online_il.config.reading import ConfigError
from online_il.config.study import Study, load
from online_il.live.trackers import OPENED, tell
from online_il.live.trainings import courses
from online_il.preflight import machine

ROOT = Path(__file__).parents[2]
NAMES = ("trackio", "wandb")
MINI = ROOT / "config" / "mini.yaml"


def told(results: Path, tracker: str) -> None:
    tell(results, tracker, courses(results))


@pytest.mark.parametrize("name", NAMES)
def test_a_run_is_told_the_rows_of_its_table_and_a_running_one_those_so_far(
    name, tmp_path, monkeypatch
):
    module, results = stand_in(name, monkeypatch), under_way(tmp_path / "mini")
    train(results, 3)
    told(results, name)
    columns = ("update", "samples", "loss", "device_seconds", "learning_rate")
    table = finished(results, "expert", columns)
    rows = module.runs["countdown/expert/seed1"]
    assert [step for step, _ in rows] == list(table["update"])
    for column in columns[1:]:
        assert [numbers[column] for _, numbers in rows] == list(table[column])
    live = module.runs["countdown/sft-a/seed1"]
    assert [step for step, _ in live] == [1, 2, 3]
    assert [numbers["loss"] for _, numbers in live] == [1.0, 0.5, 1 / 3]
    assert not any("reward" in numbers for _, numbers in live)  # It measured none.
    assert {one["project"] for one in module.opened} == {"online-il-mini"}


@pytest.mark.parametrize("name", NAMES)
def test_what_is_new_is_told_once_after_a_stop_too(name, tmp_path, monkeypatch):
    module, results = stand_in(name, monkeypatch), under_way(tmp_path / "mini")
    train(results, 3)
    told(results, name)
    told(results, name)
    train(results, 2)  # Stopped, it goes on from its second update.
    told(results, name)
    train(results, 5)
    told(results, name)
    assert [step for step, _ in module.runs["countdown/sft-a/seed1"]] == [1, 2, 3, 4, 5]
    opened = [one["name"] for one in module.opened]
    assert opened.count("countdown/expert/seed1") == 1
    assert {one["resume"] for one in module.opened} == {"allow"}


def test_a_training_that_is_begun_anew_is_a_run_of_its_own(tmp_path, monkeypatch):
    module, results = stand_in("wandb", monkeypatch), under_way(tmp_path / "mini")
    for begun in (0.0, 0.25, 0.5):
        train(results, 2, begun)
        told(results, "wandb")
    names = ["countdown/sft-a/seed1", "countdown/sft-a/seed1-2", "countdown/sft-a/seed1-3"]
    for begun, name in zip((0.0, 0.25, 0.5), names, strict=True):
        assert module.runs[name][0][1]["device_seconds"] == row(1, begun)["device_seconds"]
    ids = [one["id"] for one in module.opened if "sft-a" in str(one["name"])]
    assert len(set(ids)) == 3 and not any("/" in name for name in ids)


def test_tensorboard_writes_a_folder_a_run(tmp_path, monkeypatch):
    scalars, results = stand_in_writer(monkeypatch), under_way(tmp_path / "mini")
    train(results, 2)
    told(results, "tensorboard")
    folder = results / "tracking" / "tensorboard" / "countdown"
    assert scalars.keys() == {str(folder / run / "seed1") for run in ("base", "expert", "sft-a")}
    live = scalars[str(folder / "sft-a" / "seed1")]
    assert [(value, step) for tag, value, step in live if tag == "loss"] == [(1.0, 1), (0.5, 2)]


@pytest.mark.skipif(not importlib.util.find_spec("tensorboard"), reason="no tensorboard")
def test_tensorboards_own_reader_finds_the_rows(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    results = under_way(tmp_path / "mini")
    train(results, 2)
    told(results, "tensorboard")
    train(results, 4)
    told(results, "tensorboard")
    events = EventAccumulator(str(results / "tracking/tensorboard/countdown/sft-a/seed1"))
    events.Reload()
    (losses,) = [events.Tensors(tag) for tag in events.Tags()["tensors"] if tag == "loss"]
    values = [float(one.tensor_proto.float_val[0]) for one in losses]
    assert [one.step for one in losses] == [1, 2, 3, 4]
    assert values == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])


# ---- what it takes, and what it changes ----


def take_away(monkeypatch, name):
    """Let a package not be here, whatever this environment has."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        machine.importlib.util,
        "find_spec",
        lambda asked, *more: None if asked == name else find(asked, *more),
    )


def install(monkeypatch, folder, name, text=""):
    """Let a package be here, for the programs that are started as well."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")


@pytest.mark.parametrize("name", [*NAMES, "tensorboard"])
def test_a_package_that_is_not_here_is_named_with_its_install_before_anything_trains(
    name, tmp_path, monkeypatch
):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    take_away(monkeypatch, name)
    (problem,) = check(study_raw(tmp_path) | {"tracker": name})
    assert f"tracker is {name}, and {name} is not installed" in problem
    assert f"-m pip install {name}`, or set tracker to none" in problem


def test_wandb_without_an_account_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    install(monkeypatch, tmp_path / "site", "wandb")
    raw = study_raw(tmp_path / "study") | {"tracker": "wandb"}
    (problem,) = check(raw)
    assert "there is no key of an account" in problem and "WANDB_MODE=offline" in problem
    (tmp_path / ".netrc").write_text("machine api.wandb.ai login user password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    assert check(raw) == []
    (tmp_path / ".netrc").unlink()
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert check(raw) == []


@pytest.mark.parametrize("tracker", ["none", "tensorboard", "trackio"])
def test_a_package_that_lacks_another_is_found_before_what_imports_it_trains(
    tracker, tmp_path, monkeypatch
):
    """TRL imports trackio at each checkpoint, whoever is told the rows."""
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")
    install(monkeypatch, tmp_path / "site", "trackio", "import a_package_that_is_not_here\n")
    install(monkeypatch, tmp_path / "site", "tensorboard")
    (problem,) = check(study_raw(tmp_path) | {"tracker": tracker})
    assert "trackio is installed and cannot be imported: ModuleNotFoundError" in problem
    assert "'a_package_that_is_not_here'" in problem and "-m pip install trackio` for" in problem


def test_a_study_without_the_key_is_written_as_before_and_every_value_is_known():
    assert "tracker" not in load(MINI).model_dump()
    assert load(MINI).tracker == "none"
    for name in OPENED:
        assert load(MINI, {"tracker": name}).tracker == name
    schema = Study.model_json_schema()["properties"]["tracker"]["enum"]
    assert set(schema) == {"none", *OPENED}


def test_no_job_is_given_the_tracker():
    rules = [*(ROOT / "rules").glob("*.smk"), ROOT / "Snakefile"]
    knowing = {path.name for path in rules if "racker" in path.read_text(encoding="utf-8")}
    # The checks before the first job, and the program beside the jobs.
    assert knowing == {"checks.smk", "handlers.smk"}


def test_no_environment_takes_a_tracker_along():
    for path in (ROOT / "envs").glob("*.txt"):
        names = {line.split("==")[0].strip().lower() for line in path.read_text().splitlines()}
        assert not names & {"tensorboard", "trackio", "wandb"}, path


def test_a_config_with_another_tracker_is_told_those_that_there_are():
    with pytest.raises(ConfigError, match="'tensorboard', 'trackio' or 'wandb'"):
        load(MINI, {"tracker": "mlflow"})


def test_the_program_says_so_before_anything_trains(tmp_path):
    (tmp_path / "jobs.json").write_text("[]")
    options = ["--config", ROOT / "config" / "smoke.yaml", "--results", tmp_path]
    options += ["--jobs", tmp_path / "jobs.json", "--output", tmp_path / "report.txt"]
    override = json.dumps({"set": "tracker=wandb"})
    env = {"WANDB_MODE": "", "WANDB_API_KEY": "", "HOME": str(tmp_path)}
    script = ROOT / "workflow" / "scripts" / "preflight.py"
    done = warm.run(script, *options, "--overrides", override, env=env)
    assert done.returncode == 1 and "tracker is wandb" in done.stdout
