"""Evaluations in the shape of lm-evaluation-harness: its own table and our reader take them."""

import json
from pathlib import Path

import pandas as pd
import pytest
import warm
from fake_study import RUNS, edit, fake_study
from lm_eval import utils

from online_il.discrepancy.reading import read
from online_il.errors import InputError
from online_il.files import write_json, write_table
from online_il.harness_files import write
from online_il.layout import Layout
from online_il.records import EvaluationRecord, Passages, Prompts

ROOT = Path(__file__).parents[2]
N = 12
BENCHMARKS = ("id", "ood", "forgetting")


def prompts_of(results: Path) -> None:
    rows = [
        {
            "prompt_id": f"countdown-{split}-{index}",
            "task": "countdown",
            "split": split,
            "text": f"1 2 T {index} : é",
            "answer": json.dumps({"numbers": [1, 2], "target": index}),
            "source": "s",
            "revision": "r",
        }
        for split in (*BENCHMARKS, "prose")
        for index in range(N)
    ]
    write_table(rows, Prompts, Layout(results).prompts("countdown"), {})


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    results = tmp_path_factory.mktemp("study") / "mini"
    fake_study(results, runs=RUNS, seeds=(1, 2), at_last=3)
    prompts_of(results)
    return results


@pytest.fixture(scope="module")
def written(study) -> Path:
    folder = study / "harness"
    count = write(study, Layout(study).existing_policies(), folder)
    assert count == len(list((study / "eval").rglob("*.json")))
    return folder


def records(study: Path, run: str, step: int) -> dict[str, dict]:
    folder = study / "eval" / "countdown" / run / "seed1" / f"step{step}"
    return {path.stem: json.loads(path.read_text()) for path in folder.glob("*.json")}


def the(folder: Path, pattern: str) -> Path:
    (path,) = folder.glob(pattern)
    return path


def test_each_checkpoint_has_results_with_the_numbers_of_its_records(study, written):
    names = {path.name for path in written.iterdir()}
    assert len(names) == 2 * sum(len(checkpoints) for _, _, checkpoints, _ in RUNS.values())
    folder = written / "countdown__expert__seed1__step6"
    results = json.loads(the(folder, "results_*.json").read_text())
    for task, record in records(study, "expert", 6).items():
        row = results["results"][task]
        assert row["acc,none"] == record["accuracy"]
        assert row["acc_stderr,none"] == record["accuracy_stderr"]
        assert results["n-samples"][task] == {"original": N, "effective": N}
        assert results["configs"][task]["repeats"] == record["samples_per_prompt"]
        assert results["online_il"]["evaluations"][task] == record
    assert results["model_sha"] == "w" and results["higher_is_better"]["id"]["acc"] is True


def test_the_harness_own_functions_read_them(study, written):
    folder = written / "countdown__sft-realizable__seed2__step24"
    files = [str(path) for path in folder.iterdir()]
    (results,) = utils.get_results_filenames(files)
    assert len(utils.get_sample_results_filenames(files)) == 5
    table = utils.make_table(json.loads(Path(results).read_text()))
    lines = [line for line in table.splitlines() if "|acc " in line]
    evaluation = study / "eval/countdown/sft-realizable/seed2/step24/ood.json"
    accuracy = json.loads(evaluation.read_text())["accuracy"]
    assert len(lines) == 5 and sum(f"{accuracy:.4f}" in line for line in lines) >= 1


def test_samples_have_the_keys_of_the_harness_and_a_number_that_all_policies_share(written):
    hashes = []
    for name in ("countdown__expert__seed1__step2", "countdown__base__seed2__step0"):
        path = the(written / name, "samples_id_*.jsonl")
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        keys = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter"}
        assert all(keys | {"metrics", "doc_hash", "prompt_hash"} <= row.keys() for row in rows)
        assert [row["doc_id"] for row in rows] == list(range(N))
        assert rows[3]["arguments"]["gen_args_0"]["arg_0"] == "1 2 T 3 : é"
        hashes.append([row["doc_hash"] for row in rows])
    assert hashes[0] == hashes[1] and len(set(hashes[0])) == N


@pytest.mark.parametrize(("step", "each"), [(2, 1), (6, 3)])
def test_the_comparison_reads_what_the_parquet_has(study, written, step, each):
    """Round trip, of one response a prompt and of three with a grade each."""
    table = study / f"eval/countdown/expert/seed1/step{step}/id.parquet"
    path = the(written / f"countdown__expert__seed1__step{step}", "samples_id_*.jsonl")
    there, back = (read([one], keywords=["+"], tokenizer=None) for one in (table, path))
    assert len(back.prompts) == N * each
    order = pd.read_parquet(table).sort_values(["prompt_id", "sample_index"], kind="stable")
    assert len(order) == len(there.prompts)
    assert sorted(back.correct_N.tolist()) == sorted(there.correct_N.tolist())
    of_each = [
        pd.Series(one.correct_N).groupby(pd.Series(one.prompts), sort=False).apply(list).tolist()
        for one in (there, back)
    ]
    assert of_each[0] == of_each[1]
    assert back.length_N.tolist() == there.length_N.tolist()
    assert back.counts_N_W.tolist() == there.counts_N_W.tolist()


def test_a_response_that_was_cut_is_one_there_too(study, tmp_path):
    results = tmp_path / "mini"
    fake_study(results, seeds=(1,), samplings=("policy",))
    prompts_of(results)
    path = results / "eval/countdown/base/seed1/step0/id.parquet"
    table = pd.read_parquet(path)
    table.loc[[1, 4], "finish_reason"] = "length"
    table.to_parquet(path)
    write(results, Layout(results).existing_policies(), tmp_path / "out")
    samples = the(tmp_path / "out" / "countdown__base__seed1__step0", "samples_id_*.jsonl")
    assert read([samples], keywords=[], tokenizer=None).truncated == 2


def test_a_text_that_is_read_has_its_nats(tmp_path):
    results = tmp_path / "mini"
    fake_study(results, runs={"base": RUNS["base"]}, seeds=(1,), samplings=("policy",))
    prompts_of(results)
    folder = results / "eval/countdown/base/seed1/step0"
    record = json.loads((folder / "id.json").read_text())
    measured = {"nats_per_token": 2.0, "perplexity": 7.389, "bits_per_byte": 1.25}
    unmeasured = dict.fromkeys(("accuracy", "accuracy_stderr", "truncation_rate", "mean_length"))
    one = EvaluationRecord(
        **record | measured | unmeasured | {"benchmark": "prose", "n_prompts": 1}
    )
    write_json(one, folder / "prose.json")
    row = {"prompt_id": "countdown-prose-3", "policy": "base/step0", "seed": 1}
    passage = row | {"n_tokens": 5, "n_bytes": 20, "nats": 10.0}
    write_table([passage], Passages, folder / "prose.parquet", {})
    write(results, Layout(results).existing_policies(), tmp_path / "out")
    out = tmp_path / "out" / "countdown__base__seed1__step0"
    (line,) = the(out, "samples_prose_*.jsonl").read_text().splitlines()
    assert json.loads(line)["resps"] == [[-10.0]] and json.loads(line)["doc_id"] == 3
    found = json.loads(the(out, "results_*.json").read_text())
    assert found["results"]["prose"]["bits_per_byte,none"] == 1.25
    assert "acc,none" not in found["results"]["prose"]
    assert found["configs"]["prose"]["output_type"] == "loglikelihood_rolling"


def test_the_program_and_the_comparison_go_together(study, tmp_path):
    script = ROOT / "workflow" / "scripts" / "harness.py"
    policies = "countdown/expert/seed1,countdown/base/seed1"
    options = ("--results", study, "--policies", policies, "--output", tmp_path / "out")
    done = warm.run(script, *options)
    assert done.returncode == 0, done.stderr
    sides = [
        the(tmp_path / "out" / name, "samples_ood_*.jsonl")
        for name in ("countdown__expert__seed1__step6", "countdown__base__seed1__step0")
    ]
    compared = warm.run(
        ROOT / "workflow" / "scripts" / "discrepancy.py",
        *("--expert", sides[0], "--student", sides[1], "--bin-width", 10, "--resamples", 100),
        *("--out", tmp_path / "table.parquet"),
    )
    assert compared.returncode == 0, compared.stderr


def test_what_is_wrong_is_one_line(study, tmp_path):
    script = ROOT / "workflow" / "scripts" / "harness.py"
    output = ("--output", tmp_path / "out")
    for status, words, *options in (
        (1, "no evaluation in it", "--results", tmp_path),
        (2, "write <task>/<run>/seed<k>", "--results", study, "--policies", "expert"),
    ):
        done = warm.run(script, *options, *output)
        assert done.returncode == status and words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1 and not (tmp_path / "out").exists()


def test_prompts_that_have_changed_are_named(tmp_path):
    results = tmp_path / "mini"
    fake_study(results, runs={"base": RUNS["base"]}, seeds=(1,))
    prompts_of(results)
    table = pd.read_parquet(Layout(results).prompts("countdown"))
    table["prompt_id"] = "other-" + table["prompt_id"]
    table.to_parquet(Layout(results).prompts("countdown"))
    with pytest.raises(InputError, match=r"prompt countdown-.*-0 is not among countdown's prompts"):
        write(results, Layout(results).existing_policies(), tmp_path / "out")
    edit(results / "eval/countdown/base/seed1/step0/id.json", accuracy="x")
    with pytest.raises(InputError, match="not a whole EvaluationRecord"):
        write(results, Layout(results).existing_policies(), tmp_path / "out")
