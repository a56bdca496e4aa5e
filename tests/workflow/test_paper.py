"""The paper's own scale, as far as it can be seen without a cluster: what is planned, and how."""

import ast
import importlib
import re
import shlex
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
import warm
import yaml

from online_il.config.settings import Settings

ROOT = Path(__file__).parents[2]
PAPER = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())


def planned(*arguments: str) -> str:
    """What Snakemake would do at the paper's scale, with the commands, in an empty folder."""
    command = ["-m", "snakemake", *arguments, "-n", "-p", "--cores", "1"]
    done = warm.run(*command, "--configfile", "config/paper.yaml", cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def everything() -> str:
    return planned("--forceall")


def commands(output: str, script: str) -> list[str]:
    """The command lines that run a script."""
    lines = [line for line in output.splitlines() if line.startswith("Shell command: ")]
    return [line.removeprefix("Shell command: ") for line in lines if f"/{script}.py " in line]


def test_every_run_of_the_paper_is_planned_for_every_seed(everything):
    expected = {
        (task["name"], run["name"], str(seed), run["method"])
        for task in PAPER["tasks"]
        for run in task.get("runs", [])
        for seed in task["seeds"]
    }
    assert len(expected) == 3 * 4 * 3
    found = set()
    for method in ("grpo", "sft", "distill"):
        for line in commands(everything, method):
            task, run, seed = re.search(r"--task (\S+) --run (\S+) --seed (\d+)", line).groups()
            found.add((task, run, seed, method))
    assert found == expected


def test_every_training_is_launched_on_the_gpus_that_it_asks_for(everything):
    gpus = Counter()
    for method in ("grpo", "sft", "distill", "finetune"):
        for line in commands(everything, method):
            start = re.match(
                r"accelerate launch --config_file config/accelerate/(\w+)\.yaml"
                r" --num_processes (\d+) --main_process_port 0 ",
                line,
            )
            assert start, line
            assert start[1] == ("fsdp" if int(start[2]) > 1 else "single")
            assert "--hardware gpu" in line
            task = re.search(r"--task (\S+)", line)[1]
            (settings,) = [t for t in PAPER["tasks"] if t["name"] == task]
            asked = PAPER["resources"][method] | settings.get("resources", {}).get(method, {})
            assert int(start[2]) == asked["gpu"]
            gpus[method, task] += 1
    assert gpus["grpo", "countdown"] == gpus["distill", "deepscaler"] == 3
    assert gpus["sft", "gsm8k"] == 6 and gpus["finetune", "gsm8k"] == 1


def settings_read(script: str) -> tuple[dict[str, type[Settings]], list[type[Settings]]]:
    """(the class that a script reads each of its arguments as, all settings that it imports)."""
    tree = ast.parse((ROOT / "workflow" / "scripts" / f"{script}.py").read_text())
    known = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("online_il.config"):
            module = importlib.import_module(node.module)
            known |= {name.asname or name.name: getattr(module, name.name) for name in node.names}
    known = {n: v for n, v in known.items() if isinstance(v, type) and issubclass(v, Settings)}
    read = {}
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        names = [n.id for n in ast.walk(call) if isinstance(n, ast.Name) and n.id in known]
        for argument in call.args:
            if names and ast.unparse(argument).startswith("options."):
                read["--" + argument.attr] = known[names[0]]
    return read, list(known.values())


def test_every_script_takes_the_settings_that_its_rules_pass(everything):
    met = set()
    for line in everything.splitlines():
        if not line.startswith("Shell command: ") or "workflow/scripts/" not in line:
            continue
        words = shlex.split(line.removeprefix("Shell command: "))
        (script,) = [Path(word).stem for word in words if "workflow/scripts/" in word]
        read, known = settings_read(script)
        source = (ROOT / "workflow" / "scripts" / f"{script}.py").read_text()
        for flag, value in pairwise(words):
            if flag.startswith("--") and value.startswith("{"):
                met.add((script, flag))
                if flag in read:
                    read[flag].model_validate_json(value)
                elif f"json.loads(options.{flag[2:]})" not in source:
                    # Data of some kind: one class takes it.
                    kind = re.search('"kind":"(\\w+)"', value)[1]
                    (taken,) = [c for c in known if kind in str(c.model_fields.get("kind"))]
                    taken.model_validate_json(value)
    expected = {
        *(("ask", "--endpoint"), ("ask", "--sampling"), ("convert", "--settings")),
        *((name, "--settings") for name in ("grpo", "sft", "distill", "evaluate", "finetune")),
        *((name, "--generation") for name in ("grpo", "distill", "evaluate", "sample")),
        *(("sample", "--sampling"), ("fetch", "--settings")),
    }
    assert expected <= met


def test_figure_2_needs_no_deepscaler_job():
    output = planned("figure2")
    assert "deepscaler" not in output and "aime" not in output
    for method, task, count in (("grpo", "countdown", 3), ("sft", "gsm8k", 6)):
        assert sum(f"--task {task} " in line for line in commands(output, method)) == count


def test_table_1_needs_the_two_models_and_no_training():
    output = planned("table1")
    assert len(commands(output, "ask")) == 1 and len(commands(output, "sample")) == 1
    (ask,), (sample,) = commands(output, "ask"), commands(output, "sample")
    for line in (ask, sample):
        assert "--splits aime2024,aime2025 --samples-per-prompt 14" in line
        for setting in ('"temperature":0.6', '"top_p":0.95', '"max_new_tokens":100000'):
            assert setting in line
    assert "DEEPINFRA_API_KEY" in ask and "deepseek-ai/DeepSeek-R1-0528" in ask
    for method in ("grpo", "sft", "distill", "finetune"):
        assert not commands(output, method)


@pytest.mark.parametrize("target", ["figure4", "theorem1"])
def test_theory_needs_no_gpu(target):
    output = planned(target)
    assert "gpu=" not in output and "accelerate" not in output


def test_the_slurm_profile_runs_the_paper_without_a_word_more():
    done = warm.run("-m", "snakemake", "--profile", "slurm", "-n", "figure2", cwd=ROOT)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "results/paper/figures/figure2.svg" in done.stdout
    assert "deepscaler" not in done.stdout
