"""What comes from a config, a model or a server stays data: nothing of it is run or shown."""

import ast
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import warm
from jinja2.exceptions import SecurityError
from pydantic import TypeAdapter, ValidationError
from training_runs import WORDS, tiny

from online_il import hub
from online_il.chat import rendered
from online_il.config.experts import ModelExpert
from online_il.config.hub import Model
from online_il.config.run import Run
from online_il.config.tasks import Task
from online_il.errors import InputError
from online_il.models import byte_tokenizer, load_model, save_policy, word_tokenizer

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "workflow").rglob("*.py")) + sorted((ROOT / "benchmarks").rglob("*.py"))
RULES = [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))]
HOSTILE = [
    "a; touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a b",
    "a'b",
    'a"b',
    "a\nb",
    "../a",
    "-rf",
    "a|b",
    "a>b",
    "{b}",
    "*",
    "",
]

# ---- no text is run as code ----


def calls(path: Path) -> list[ast.Call]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.name)
def test_no_module_runs_text_or_loads_pickles(path):
    for call in calls(path):
        name = ast.unparse(call.func)
        options = {option.arg: ast.unparse(option.value) for option in call.keywords}
        assert name not in {"eval", "exec", "compile", "__import__", "os.system", "os.popen"}
        assert not name.startswith(("pickle.", "marshal.", "shelve.", "dill.", "joblib."))
        assert name not in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"} or (
            "Safe" in options.get("Loader", "") + ast.unparse(call)
        )
        assert options.get("shell") in (None, "False") and name != "subprocess.getoutput"
        assert options.get("trust_remote_code") in (None, "False")
        if name == "torch.load":
            assert options.get("weights_only") == "True"
        if name.endswith("Model.from_pretrained") or "ForCausalLM.from_pretrained" in name:
            assert options["use_safetensors"] == "True"
            assert options["trust_remote_code"] == "False"


def test_pickled_weights_are_refused_in_words(tmp_path):
    save_policy(tiny(), word_tokenizer(WORDS), tmp_path / "policy")
    (tmp_path / "policy" / "model.safetensors").rename(tmp_path / "policy" / "pytorch_model.bin")
    with pytest.raises(OSError, match=r"model\.safetensors"):
        load_model(tmp_path / "policy")
    named = Model(repo="a/b", revision="0" * 40, folder=str(tmp_path / "policy"))
    with pytest.raises(InputError, match=r"no \*\.safetensors"):
        hub.model_folder(named)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.__init__.__globals__ }}",
        "{{ cycler.__init__.__globals__.os.system('touch pwned') }}",
    ],
)
def test_a_chat_template_cannot_leave_its_sandbox(template):
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(SecurityError):
        rendered(tokenizer, [{"role": "user", "content": "x"}])


# ---- nothing reaches a shell unquoted ----


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("kind", [Task, Run, ModelExpert], ids=lambda kind: kind.__name__)
def test_names_that_a_shell_would_read_are_refused(kind, name):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python({"name": name})
    assert any(error["loc"][-1] == "name" for error in caught.value.errors())


SAFE = {
    # Ours alone: paths of this project, hashes, numbers, names that the config's patterns allow.
    *("code", "launch", "hardware", "state", "progress", "journal", "steps", "keep", "stem"),
    *("learning_rate", "expert", "student", "demonstrations", "splits", "responses", "number"),
    *("bin_width", "resamples", "seed", "results", "policies", "kind", "flags", "checked"),
    *("benchmarks", "slurm", "report", "theory", "figure", "from_expert", "shares"),
    *("on_gpus", "model", "share", "limit", "unit_rows", "budget"),
    # Words that are quoted already (`program/flags.py`).
    "options",
}


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_every_parameter_of_a_command_is_quoted_or_known_to_be_plain(path):
    text = path.read_text(encoding="utf-8")
    for name, quoted in re.findall(r"\{params\.(\w+)(:q)?\}", text):
        assert quoted or name in SAFE, name


def test_what_the_rules_quote_stays_one_word(tmp_path):
    from snakemake.utils import format as quoting

    for word in HOSTILE:
        command = quoting("printf %s {params:q}", params=word)
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout == word
    assert not list(tmp_path.iterdir())


# ---- no token is shown ----


@pytest.mark.parametrize("kind", ["echoed", "no token"])
def test_the_token_of_the_hub_is_in_no_error(kind, monkeypatch):
    token = "hf_secretsecretsecret" if kind == "echoed" else "hf_secret secret"
    monkeypatch.setattr("huggingface_hub.get_token", lambda: token)

    def refuse(*_: object, **__: object) -> None:
        raise OSError(f"401: Bearer {token} is not allowed")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(InputError) as caught:
        list(hub.download([Model(repo="a/b", revision="0" * 40)]))
    assert "secret" not in str(caught.value) and "HF_TOKEN" in str(caught.value)


def test_a_dry_run_quotes_the_config_and_shows_no_token(tmp_path):
    config = tmp_path / "a b;$(touch pwned)'.yaml"
    for name in ("mini", "theory"):
        target = config if name == "mini" else tmp_path / "theory.yaml"
        target.write_bytes((ROOT / "config" / f"{name}.yaml").read_bytes())
    command = ["-m", "snakemake", "--snakefile", ROOT / "Snakefile"]
    command += ["--directory", tmp_path, "--configfile", config, "--dry-run", "--printshellcmds"]
    secrets = {"HF_TOKEN": "hf_secretsecret", "DEEPSEEK_API_KEY": "sk-secretsecret"}
    environment = os.environ | secrets | {"PYTHONPATH": str(ROOT / "workflow")}
    done = warm.run(*command, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    shown = done.stdout + done.stderr
    assert f" {shlex.quote(f'--config={config.name}')} " in shown
    assert "secretsecret" not in shown and not (tmp_path / "pwned").exists()
