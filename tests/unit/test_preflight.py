"""The checks before a study: each on hand-made folders, all problems at once, no secret shown."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import warm
import yaml
from preflight_studies import (
    CONFIG,
    TEMPLATE,
    check,
    model_folder,
    study_raw,
    trainings_of,
    with_expert,
)

from online_il.config.study import Study
from online_il.cost.memory import GIB
from online_il.preflight import machine, memory
from online_il.preflight.report import Report

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "workflow" / "scripts" / "preflight.py"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("DEEPSEEK_API_KEY", "sk-secret")


def test_a_machine_with_everything_has_no_problem(tmp_path, key):
    assert check(study_raw(tmp_path)) == []


def test_a_missing_key_is_named_and_wanted_only_while_something_is_to_be_asked(
    tmp_path, monkeypatch
):
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    raw = study_raw(tmp_path)
    (problem,) = check(raw, asked=(3,))
    assert problem.startswith(
        "countdown/deepseek-v3.2-exp: the environment has no DEEPSEEK_API_KEY"
    )
    assert "export DEEPSEEK_API_KEY" in problem
    monkeypatch.setenv("DEEPSEEK_API_KEY", "")  # Empty is not there.
    assert check(raw, asked=(1, 2, 3)) == [problem]
    assert check(raw) == []


def test_files_that_are_not_here_are_named_with_their_remedy(tmp_path, key, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    raw = study_raw(tmp_path)
    base = raw["tasks"][0]["base"]
    base |= {"repo": "meta-llama/Llama-3.2-3B", "folder": None, "revision": "c" * 40}
    raw["tasks"][0]["data"]["dataset"]["files"] = "data/other-*.parquet"
    usage = shutil.disk_usage(tmp_path)._replace(free=2**60)
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda place: usage)
    found = check(raw)
    assert len(found) == 2
    assert "Jiayi-Pan/Countdown-Tasks-3to4@408f70d1" in found[0] and "no file" in found[0]
    assert "meta-llama/Llama-3.2-3B@cccc" in found[1]
    assert "make download-paper" in found[1] and "HF_TOKEN" in found[1]
    monkeypatch.setenv("HF_TOKEN", "hf-secret")
    assert "which is not set" not in check(raw)[1]


@pytest.mark.parametrize("index", ["{", "[]", '{"weight_map": 3}', "{}"])
def test_a_damaged_index_of_weights_is_a_problem_and_no_traceback(tmp_path, key, index):
    raw = study_raw(tmp_path)
    (tmp_path / "student" / "model.safetensors.index.json").write_text(index)
    (problem,) = check(raw)
    assert "Qwen2.5-3B-Instruct@" in problem and "damaged" in problem


def test_a_distillation_pair_with_one_tokenizer_and_width_passes(tmp_path, key):
    raw = study_raw(tmp_path)
    assert check(with_expert(raw, model_folder(tmp_path / "teacher"))) == []


def test_other_tokens_are_found_and_both_models_named(tmp_path, key):
    raw = study_raw(tmp_path)
    teacher = model_folder(tmp_path / "teacher", vocab={"a": 0, "c": 1})
    (problem,) = check(with_expert(raw, teacher))
    assert problem.startswith("countdown/distill-other: the student Qwen/Qwen2.5-3B-Instruct")
    assert "some/teacher have different tokenizers" in problem
    assert "id 1 is 'b' and 'c'" in problem and "or use sft" in problem


def mixed(raw, *parts):
    """A study with a mixture of models of the hub, and no student of it by its probabilities."""
    task = raw["tasks"][0]
    task["experts"].append(
        {"name": "mixture", "kind": "mixture", "parts": dict.fromkeys(parts, 1 / len(parts))}
    )
    return raw


def test_the_parts_of_a_mixture_need_one_tokenizer(tmp_path, key):
    raw = mixed(study_raw(tmp_path), "teacher", "expert")
    raw = with_expert(raw, model_folder(tmp_path / "teacher", vocab={"a": 0, "c": 1}))
    raw["tasks"][0]["runs"].pop()
    (problem,) = check(raw)
    assert problem.startswith("countdown/mixture: one of its parts some/teacher and another")
    assert "id 1 is 'c' and 'b'" in problem and "mix models of one tokenizer" in problem


def test_a_mixture_that_a_student_cannot_read_is_found(tmp_path, key):
    raw = mixed(study_raw(tmp_path), "teacher")
    raw = with_expert(raw, model_folder(tmp_path / "teacher", vocab={"a": 0, "c": 1}))
    raw["tasks"][0]["runs"][-1]["expert"] = "mixture"
    (problem,) = check(raw)
    assert problem.startswith("countdown/distill-other: the student Qwen/Qwen2.5-3B-Instruct")
    wide = study_raw(tmp_path / "wide")
    folder = Path(wide["tasks"][0]["base"]["folder"]) / "config.json"
    folder.write_text(json.dumps(json.loads(folder.read_text()) | {"vocab_size": 9000}))
    wide = mixed(wide, "expert")
    student = wide["tasks"][0]["runs"][-1] | {"name": "distill-mixture", "method": "distill"}
    wide["tasks"][0]["runs"].append(student | {"expert": "mixture"})
    assert check(wide) == []


def test_a_special_token_more_is_a_difference(tmp_path, key):
    raw = study_raw(tmp_path)
    (tmp_path / "student" / "config.json").write_text(json.dumps(CONFIG | {"vocab_size": 4}))
    teacher = model_folder(tmp_path / "teacher", vocab_size=4)
    content = json.loads((teacher / "tokenizer.json").read_text())
    content["added_tokens"].append({"id": 3, "content": "<think>"})
    (teacher / "tokenizer.json").write_text(json.dumps(content))
    (problem,) = check(with_expert(raw, teacher))
    assert "id 3 is 'no token' and '<think>'" in problem


def test_other_merges_are_a_difference_and_their_two_notations_are_none(tmp_path, key):
    raw = study_raw(tmp_path)
    teacher = model_folder(tmp_path / "teacher")
    with_expert(raw, teacher)
    for folder, merges in ((tmp_path / "student", ["a b"]), (teacher, [["a", "b"]])):
        content = json.loads((folder / "tokenizer.json").read_text())
        content["model"]["merges"] = merges
        (folder / "tokenizer.json").write_text(json.dumps(content))
    assert check(raw) == []
    content["model"]["merges"] = []
    (teacher / "tokenizer.json").write_text(json.dumps(content))
    (problem,) = check(raw)
    assert "different rules" in problem


def test_logits_of_another_width_are_found_beside_other_tokens(tmp_path, key):
    raw = study_raw(tmp_path)
    teacher = model_folder(tmp_path / "teacher", vocab={"x": 0, "y": 5}, vocab_size=7)
    found = check(with_expert(raw, teacher))
    assert len(found) == 2
    assert "logits 3 and 7 wide" in found[1]


def test_a_damaged_tokenizer_is_a_problem_and_no_traceback(tmp_path, key):
    raw = study_raw(tmp_path)
    teacher = model_folder(tmp_path / "teacher")
    (teacher / "tokenizer.json").write_text('{"model": {"vocab": [1, 2]}}')
    one, other = check(with_expert(raw, teacher))
    assert "no usable tokenizer.json" in one and str(teacher) in one
    assert f"some/teacher: {teacher / 'tokenizer.json'}: damaged; delete it" in other


def test_a_model_without_chat_template_is_found_unless_one_is_given(tmp_path, key):
    raw = study_raw(tmp_path)
    shutil.rmtree(tmp_path / "student")
    model_folder(tmp_path / "student", template=False)
    (problem,) = check(raw)
    assert "no chat template" in problem and "config/chat.jinja" in problem
    raw["tasks"][0]["base"]["chat_template"] = str(tmp_path / "chat.jinja")
    (problem,) = check(raw)
    assert "there is no file" in problem
    (tmp_path / "chat.jinja").write_text(TEMPLATE)
    assert check(raw) == []
    del raw["tasks"][0]["base"]["chat_template"]
    (tmp_path / "student" / "chat_template.jinja").write_text(TEMPLATE)
    assert check(raw) == []


def test_sequences_longer_than_the_model_are_found_at_their_keys(tmp_path, key):
    raw = study_raw(tmp_path)
    # GRPO and distillation: 2,048 + 1,024 tokens; evaluation: 150 + 1,024.
    config = tmp_path / "student" / "config.json"
    config.write_text(json.dumps(CONFIG | {"max_position_embeddings": 3072}))
    assert check(raw) == []
    config.write_text(json.dumps(CONFIG | {"max_position_embeddings": 3071}))
    found = check(raw)
    assert [problem.split(":")[0] for problem in found] == [
        "countdown, methods.distill",
        "countdown, methods.grpo",
    ]
    assert "3,072 tokens" in found[0] and "3,071" in found[0]
    config.write_text(json.dumps(CONFIG | {"max_position_embeddings": 1000}))
    assert any("evaluation.policy" in problem for problem in check(raw))


def test_jobs_that_do_not_fit_the_gpu_are_found_with_what_to_turn(tmp_path, key):
    raw = study_raw(tmp_path)
    study = Study.model_validate(raw)
    assert study.plan is not None
    estimates = memory.training_memory(study, study.plan, study.tasks[0])
    peaks = {rule: estimate.peak / GIB for rule, estimate in estimates.items()}
    assert set(peaks) == {"grpo", "sft", "distill"}
    order = sorted(peaks, key=lambda rule: peaks[rule])
    assert peaks[order[-1]] > peaks[order[0]]
    raw["plan"]["gpu_memory_gib"] = peaks[order[-1]] + 1e-6
    assert check(raw) == []
    raw["plan"]["gpu_memory_gib"] = peaks[order[-1]] - 1e-6
    (problem,) = check(raw)
    assert problem.startswith(f"countdown, {order[-1]}: takes about")
    assert "micro_batch_size" in problem and f"resources.{order[-1]}.gpu" in problem


def test_vllm_must_hold_the_model_and_one_sequence(tmp_path, key):
    raw = study_raw(tmp_path)
    raw["generation"] |= {"engine": "vllm", "memory_share": 0.02, "colocated_share": 0.01}
    found = check(raw)
    assert [problem.split(":")[0] for problem in found] == [
        "countdown, evaluate",
        "countdown, distill",
        "countdown, grpo",
    ]
    assert "generation.memory_share" in found[0] and "generation.colocated_share" in found[1]


def test_checkpoints_are_counted_in_bytes_and_those_written_are_not(tmp_path):
    study = Study.model_validate(study_raw(tmp_path / "files"))
    task = study.tasks[0]
    # 64*64*2 + 64*32*2 attention, 3*64*128, 2*64 norms, 64 + 2*32 biases; embedding and last norm.
    block = 2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128 + 128 + 128
    one = 2 * (2 * block + 3 * 64 + 64)
    # Four runs of ten checkpoints and three seeds; the base is taken as it is.
    jobs = trainings_of(study)
    assert memory.checkpoint_bytes(study, task, jobs, tmp_path) == 120 * one
    jobs.remove(("grpo", "countdown", "expert", 2, ()))
    assert memory.checkpoint_bytes(study, task, jobs, tmp_path) == 110 * one


def test_a_disk_that_is_too_small_is_found(tmp_path, key, monkeypatch):
    raw = study_raw(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(memory.shutil, "disk_usage", lambda place: usage)
    (problem,) = check(raw, tmp_path / "not" / "there")
    assert problem.startswith(f"disk, {tmp_path}/not/there: the checkpoints of countdown")
    assert "larger disk" in problem


def test_programs_that_are_not_installed_are_named(tmp_path, monkeypatch):
    raw = study_raw(tmp_path)
    raw["generation"]["engine"] = "vllm"
    study, report = Study.model_validate(raw), Report()
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda name: None)
    machine.check_programs(study, study.tasks[0], report)
    assert [problem.split("; ")[0] for problem in report.problems] == [
        "environment: hardware is gpu, and accelerate is not installed",
        "environment: generation.engine is vllm, and vllm is not installed",
    ]


def program(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    known = {name: value for name, value in os.environ.items() if name != "DEEPSEEK_API_KEY"}
    return warm.run(SCRIPT, *arguments, cwd=ROOT, env=known | environment)


DRIVER = """#!/bin/sh
for card in 1 2 3 4 5 6 7 8; do
  case "$1" in
    *driver_version*) echo "580.95.05, NVIDIA H100" ;;
    *) echo "NVIDIA H100, 81920" ;;
  esac
done
"""


def test_all_problems_are_reported_at_once_and_no_secret_is_shown(tmp_path):
    raw = study_raw(tmp_path)
    teacher = model_folder(tmp_path / "teacher", vocab={"z": 0}, template=False)
    with_expert(raw, teacher)
    raw["plan"]["gpu_memory_gib"] = 2.0
    path, output = tmp_path / "study.yaml", tmp_path / "out" / "countdown.txt"
    path.write_text(yaml.safe_dump(raw))
    arguments = ["--config", str(path), "--results", str(tmp_path / "results")]
    arguments += ["--task", "countdown", "--output", str(output)]
    jobs = [["demonstrate", "countdown", "deepseek-v3.2-exp", 1]]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    arguments += ["--jobs", str(tmp_path / "jobs.json")]
    # A machine with the GPUs and the driver that jobs need.
    driver = tmp_path / "nvidia-smi"
    driver.write_text(DRIVER)
    driver.chmod(0o755)
    path_of_programs = f"{tmp_path}:{os.environ['PATH']}"
    secrets = {"HF_TOKEN": "hf-secret", "OTHER_KEY": "sk-secret"}
    done = program(*arguments, **secrets, PATH=path_of_programs)
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "secret" not in done.stdout + done.stderr
    parts = ("DEEPSEEK_API_KEY", "different tokenizers", "no chat template", "countdown, grpo")
    for part in (*parts, "countdown, evaluate"):
        assert part in done.stdout
    assert "7 problems; nothing was started" in done.stdout
    assert not output.exists()  # The gate stays closed.
    del raw["tasks"][0]["experts"][1], raw["tasks"][0]["runs"][-1]
    raw["plan"]["gpu_memory_gib"] = 80.0
    path.write_text(yaml.safe_dump(raw))
    done = program(*arguments, DEEPSEEK_API_KEY="sk-secret", PATH=path_of_programs)
    assert (done.returncode, done.stderr) == (0, "")
    assert output.read_text() == done.stdout
    assert "secret" not in done.stdout


def test_the_report_of_the_whole_study_is_written_when_something_is_wrong(tmp_path):
    raw = study_raw(tmp_path)
    path, output = tmp_path / "study.yaml", tmp_path / "preflight.txt"
    path.write_text(yaml.safe_dump(raw))
    arguments = ["--config", str(path), "--results", str(tmp_path), "--output", str(output)]
    done = program(*arguments)
    assert done.returncode == 1
    assert "DEEPSEEK_API_KEY" in output.read_text()


def test_a_task_that_is_not_there_is_refused(tmp_path):
    arguments = ["--config", "config/smoke.yaml", "--task", "other", "--results", str(tmp_path)]
    done = program(*arguments, "--output", str(tmp_path / "out"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: --task other: no such task; there are:")
