"""A study whose expert is behind an endpoint, through Snakemake, against a server not ours.

From prompts over demonstrations to a student of SFT, and the expert's answers to the benchmarks.
"""

import hashlib
import json
import subprocess
import sys

import pytest
import torch
import yaml
from chat_model import save_chat_model
from project import ROOT, copy_of_project
from transformers import AutoModelForCausalLM, AutoTokenizer

from online_il.generation.endpoint import sample_seed
from online_il.records import Prompts, Samples, provenance, read_table
from online_il.tasks.miniature import VOCABULARY

TEMPLATE = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
LONGEST = 8


def config(url, model):
    """The smoke study's Countdown, with an expert behind an endpoint and one student of it."""
    study = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    (task,) = [task for task in study["tasks"] if task["name"] == "countdown"]
    sampling = {"temperature": 1.0, "max_new_tokens": LONGEST}
    study["evaluation"]["policy"] = study["evaluation"]["paper"] = sampling
    task["benchmarks"] = ["id", "ood"]
    task["experts"] = [
        # One at a time, of one job at a time: the server has one stream of random numbers.
        {"name": "far", "kind": "endpoint", "url": url, "model": str(model), "concurrency": 1},
        {"name": "solver", "kind": "solver"},
    ]
    task["runs"] = [
        {"name": "sft-far", "method": "sft", "expert": "far", "steps": 2, "learning_rate": 0.001}
    ]
    pair = {"task": "countdown", "expert": "far", "student": "near", "responses": 2}
    study["discrepancy"]["models"] = [{**pair, "sampling": sampling}]
    architecture = dict(task["base"]["architecture"])
    near = {"name": "near", "kind": "random", "seed": 1, "architecture": architecture}
    task["experts"].append({**near, "max_length": 256})
    del study["theory"], study["extends"]
    return {**study, "tasks": [task]}


@pytest.fixture(scope="module")
def study(tmp_path_factory, url):
    """(results, expert's model) of a study from prompts to the student."""
    model = save_chat_model(tmp_path_factory.mktemp("far") / "step0", VOCABULARY, TEMPLATE)
    folder = copy_of_project(tmp_path_factory.mktemp("checkout"))
    (folder / "far.yaml").write_text(yaml.safe_dump(config(url, model)))
    results = folder / "results" / "smoke"
    targets = ("runs/countdown/sft-far/seed1/run.json", "responses/countdown/far/seed1.parquet")
    command = [sys.executable, "-m", "snakemake", "--cores", "1"]
    command += [f"results/smoke/{target}" for target in targets] + ["--configfile", "far.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=600)
    logs = "\n".join(path.read_text()[-1500:] for path in results.glob("logs/**/*.log"))
    assert done.returncode == 0, f"{done.stdout[-1000:]}{done.stderr[-2000:]}\n{logs}"
    return results, model


def answers(model, text, seed):
    """(text, tokens) that the model gives when it is asked directly."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    ids = tokenizer(text, return_tensors="pt")
    torch.manual_seed(seed)
    out_1_T = AutoModelForCausalLM.from_pretrained(model).generate(
        **ids, max_new_tokens=LONGEST, do_sample=True, top_k=0
    )
    answer = out_1_T[0, ids["input_ids"].shape[1] :]
    return tokenizer.decode(answer, skip_special_tokens=True), len(answer)


def test_demonstrations_are_what_the_expert_says(study):
    results, model = study
    samples = results / "samples" / "countdown" / "far" / "seed1.parquet"
    table = read_table(samples, Samples)
    prompts = read_table(results / "data" / "countdown" / "prompts.parquet", Prompts)
    train = prompts[prompts["split"] == "train"].reset_index(drop=True)
    assert len(table) == 16 and table["text"].nunique() > 8
    for row in table.iloc[:4].itertuples():
        number = list(train["prompt_id"]).index(row.prompt_id)
        said = answers(model, train["text"][number], sample_seed(1, number, row.sample_index))
        assert (row.text, row.n_tokens) == said
    origin = provenance(samples)
    assert origin["endpoint"]["model"] == str(model) and origin["estimated"] == 0
    assert sum(origin["ends"].values()) == 16 and set(origin["ends"]) <= {"stop", "length"}


def test_the_student_learns_from_these_demonstrations(study):
    results, _ = study
    record = json.loads((results / "runs/countdown/sft-far/seed1/run.json").read_text())
    samples = (results / "samples/countdown/far/seed1.parquet").read_bytes()
    assert (record["expert"], record["method"]) == ("far", "sft")
    assert record["expert_hash"] == hashlib.sha256(samples).hexdigest()
    last = record["checkpoints"][-1]
    assert last["samples"] == 2 * 8 and last["weights_hash"] != record["initial_weights_hash"]
    table = read_table(results / "samples/countdown/far/seed1.parquet", Samples)
    # 16 demonstrations, each once: every word is learnt, and an end where there is one.
    words = sum(len(text.split()) for text in table["text"])
    assert last["tokens"] == words + (table["finish_reason"] == "stop").sum()


def test_the_expert_answers_the_benchmarks(study):
    results, _ = study
    table = read_table(results / "responses/countdown/far/seed1.parquet", Samples)
    # 8 prompts of each of two benchmarks, two responses each.
    assert len(table) == 2 * 8 * 2 and set(table["policy"]) == {"far"}
    assert {name.split("-")[0] for name in table["prompt_id"]} == {"id", "ood"}
