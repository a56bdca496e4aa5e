"""The endpoint engine against a server that is not ours: `transformers serve` on a tiny model.

The model is drawn at random, so its answers mean nothing; but they must be those that the model
gives when it is asked directly.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
import warm
from chat_model import save_chat_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from online_il.chat import as_text
from online_il.files import write_table
from online_il.generation.endpoint import sample_seed
from online_il.records import Prompts, Samples, provenance, read_table

ROOT = Path(__file__).parents[2]
WORDS = ("<pad>", "<bos>", "<eos>", "user", "assistant", "add", *"+-0123456789")
TEMPLATE = (
    "<bos> {% for m in messages %}{{ m['role'] + ' ' + m['content'] + ' ' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant{% endif %}"
)
LONGEST = 6
TEXTS = [f"add {i} {j}" for i in range(3) for j in range(2)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A saved chat model."""
    return save_chat_model(tmp_path_factory.mktemp("model") / "step0", WORDS, TEMPLATE)


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompts") / "prompts.parquet"
    rows = [
        {
            "prompt_id": f"p{i}",
            "task": "t",
            "split": "train",
            "text": as_text([{"role": "user", "content": text}]),
            "answer": json.dumps({"numbers": [1, 2], "target": 3}),
            "source": "here",
            "revision": "1",
        }
        for i, text in enumerate(TEXTS)
    ]
    write_table(rows, Prompts, path, {})
    return path


def ask(folder, url, model, prompts, **sampling):
    """ask.py, two samples a prompt."""
    endpoint = {"url": url, "model": str(model), "concurrency": 1, "retries": 2}
    command = [
        *(warm.python(), ROOT / "workflow/scripts/ask.py", "--task", "t", "--run", "far"),
        *("--seed", "5", "--code", "c0de", "--prompts", prompts, "--samples-per-prompt", "2"),
        *("--endpoint", json.dumps(endpoint), "--sampling"),
        *(json.dumps({"max_new_tokens": LONGEST, **sampling}), "--progress", folder / "progress"),
        *("--journal", folder / "journal.jsonl", "--output", folder / "samples.parquet"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "workflow")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_server_not_ours_answers_as_its_model_does(tmp_path, url, model, prompts, temperature):
    done = ask(tmp_path, url, model, prompts, temperature=temperature)
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "samples.parquet", Samples)
    direct = AutoModelForCausalLM.from_pretrained(model)
    tokenizer = AutoTokenizer.from_pretrained(model)
    rows = [(prompt, sample) for prompt in range(len(TEXTS)) for sample in range(2)]
    assert list(zip(table["prompt_id"], table["sample_index"], strict=True)) == [
        (f"p{prompt}", sample) for prompt, sample in rows
    ]
    n_prompt = 0
    for (prompt, sample), row in zip(rows, table.itertuples(), strict=True):
        inputs = tokenizer.apply_chat_template(
            [{"role": "user", "content": TEXTS[prompt]}],
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        torch.manual_seed(sample_seed(5, prompt, sample))
        greedy = {"do_sample": False} if temperature == 0 else {"do_sample": True, "top_k": 0}
        ids_1_T = direct.generate(**inputs, max_new_tokens=LONGEST, **greedy)
        answer = ids_1_T[0, inputs["input_ids"].shape[1] :]
        n_prompt += inputs["input_ids"].shape[1]
        assert row.text == tokenizer.decode(answer, skip_special_tokens=True)
        assert row.n_tokens == len(answer)
        assert row.finish_reason == ("length" if len(answer) == LONGEST else "stop")
    if temperature:
        assert table["text"].nunique() > len(TEXTS)
        assert set(table["finish_reason"]) == {"length", "stop"}
    usage = provenance(tmp_path / "samples.parquet")["usage"]
    assert usage["input_tokens"] == n_prompt and usage["output_tokens"] == table["n_tokens"].sum()


def test_what_the_server_refuses_is_told_in_its_words(tmp_path, url, model, prompts):
    # This server knows no top_k.
    done = ask(tmp_path, url, model, prompts, top_k=3)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    said = "error: 12 requests failed for good: p0, response 0: refused with HTTP 422, "
    assert said in done.stderr and "Unexpected fields in the request: {'top_k'}" in done.stderr
