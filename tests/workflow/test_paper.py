"""The paper's own scale, as far as it can be seen without a cluster: what is planned, and how."""

import re
import runpy
import shlex
from collections import Counter
from pathlib import Path

import pytest
import warm
import yaml

from online_il.config.settings import Settings
from online_il.program.cli import parser, read_options

ROOT = Path(__file__).parents[2]
PAPER = yaml.safe_load((ROOT / "config" / "paper.yaml").read_text())


def planned(*arguments: str, study: str = "paper") -> str:
    """What Snakemake would do at the paper's scale, with the commands, in an empty folder."""
    command = ["-m", "snakemake", *arguments, "-n", "-p", "--cores", "1"]
    done = warm.run(*command, "--configfile", f"config/{study}.yaml", cwd=ROOT)
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
            task, run, seed = re.search(r"--task=(\S+) --run=(\S+) --seed=(\d+)", line).groups()
            found.add((task, run, seed, method))
    assert found == expected


def test_every_training_is_launched_on_the_gpus_that_it_asks_for(everything):
    gpus = Counter()
    for method in ("grpo", "sft", "distill", "finetune"):
        for line in commands(everything, method):
            start = re.match(
                r"python -m online_il\.program\.devices (\d+) "
                r"accelerate launch --config_file config/accelerate/(\w+)\.yaml"
                r" --num_processes (\d+) --main_process_port 0 ",
                line,
            )
            assert start, line
            assert start[1] == start[3]
            assert start[2] == ("fsdp" if int(start[3]) > 1 else "single")
            assert "--hardware=gpu" in line
            task = re.search(r"--task=(\S+)", line)[1]
            (settings,) = [t for t in PAPER["tasks"] if t["name"] == task]
            asked = PAPER["resources"][method] | settings.get("resources", {}).get(method, {})
            assert int(start[3]) == asked["gpu"]
            gpus[method, task] += 1
    assert gpus["grpo", "countdown"] == gpus["distill", "deepscaler"] == 3
    assert gpus["sft", "gsm8k"] == 6 and gpus["finetune", "gsm8k"] == 1


def test_every_job_that_generates_is_given_its_gpus_and_no_other_job_any(everything):
    begun = "python -m online_il.program.devices 1 python workflow/scripts/"
    for script in ("sample", "evaluate"):
        lines = commands(everything, script)
        assert lines and all(line.startswith(begun) for line in lines)
    for script in ("prompts", "ask", "aggregate", "claims"):
        lines = commands(everything, script)
        assert all(line.startswith("python workflow/scripts/") for line in lines)


def test_every_script_takes_the_options_that_its_rules_pass(everything):
    met = set()
    for line in everything.splitlines():
        if not line.startswith("Shell command: ") or "workflow/scripts/" not in line:
            continue
        words = shlex.split(line.removeprefix("Shell command: "))
        (place,) = [n for n, word in enumerate(words) if "workflow/scripts/" in word]
        script, given = Path(words[place]).stem, words[place + 1 : words.index(">")]
        options = runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{script}.py"))["Options"]
        # A wrong option, or a key that the program does not know, ends it with status 2.
        read = read_options(options, parser(options, None), given)
        met |= {(script, name) for name, value in read if isinstance(value, Settings)}
    expected = {
        *(("ask", "endpoint"), ("ask", "sampling"), ("convert", "settings")),
        *((name, "settings") for name in ("grpo", "sft", "distill", "evaluate", "finetune")),
        *((name, "generation") for name in ("grpo", "distill", "evaluate", "sample")),
        *(("sample", "sampling"), ("fetch", "settings")),
    }
    assert expected <= met


def test_figure_2_needs_no_deepscaler_job():
    output = planned("figure2")
    assert "deepscaler" not in output and "aime" not in output
    for method, task, count in (("grpo", "countdown", 3), ("sft", "gsm8k", 6)):
        assert sum(f"--task={task} " in line for line in commands(output, method)) == count


def test_table_1_needs_the_two_models_and_no_training():
    output = planned("table1")
    assert len(commands(output, "ask")) == 1 and len(commands(output, "sample")) == 1
    (ask,), (sample,) = commands(output, "ask"), commands(output, "sample")
    for line in (ask, sample):
        assert "--splits=aime2024,aime2025 --samples-per-prompt=14" in line
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


def test_larger_experts_are_read_and_sampled_as_the_models_that_they_are():
    runs = "results/paper-larger/runs/countdown"
    names = ("sft-larger", "distill-larger", "soft-reverse-larger-rl")
    targets = [f"{runs}/{name}/seed2/run.json" for name in names]
    output = planned(*targets, study="paper-larger")
    own, soft = sorted(commands(output, "distill"), key=len)
    models = "--expert-checkpoints results/paper-larger/models/countdown"
    assert f"{models}/larger " in own and "--demonstrations" not in own
    assert f"{models}/larger-rl " in soft and "--demonstrations" in soft
    fetched = "\n".join(commands(output, "fetch"))
    assert "results/paper-teachers/runs/countdown/expert/seed1/checkpoints/step320" in fetched
    assert len(commands(output, "sample")) == 2 and not commands(output, "grpo")
    (expert,) = commands(
        planned(
            "results/paper-teachers/runs/countdown/expert/seed1/run.json", study="paper-teachers"
        ),
        "grpo",
    )
    assert "--num_processes 8" in expert and "--keep=10,20,40,80,120,160,200,240,280,320" in expert


def test_the_papers_countdown_on_four_gpus_trains_each_run_once_and_asks_no_endpoint():
    output = planned("--forceall", study="paper-countdown")
    found = {
        (method, *re.search(r"--task=(\S+) --run=(\S+) --seed=(\d+)", line).groups())
        for method in ("grpo", "sft", "distill")
        for line in commands(output, method)
    }
    imitated = {f"{name}-{kind}" for name in ("sft", "distill") for kind in ("", "un")}
    runs = {f"{name}realizable": name.partition("-")[0] for name in imitated}
    runs |= {"expert": "grpo", "larger-rl": "grpo", "sft-self": "sft"}
    assert found == {(method, "countdown", run, "1") for run, method in runs.items()}
    assert not commands(output, "ask") and "DEEPINFRA_API_KEY" not in output
    gpus = [int(count) for count in re.findall(r"online_il\.program\.devices (\d+) ", output)]
    # Seven trainings, three that give samples, and all of them and two bases evaluated.
    assert len(gpus) == 7 + 3 + 9 and max(gpus) == 4
