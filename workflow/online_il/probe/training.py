"""A training as the study's own rules start it: two steps of GRPO of the small model."""

import json
import math
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from online_il.chat import as_text
from online_il.config.grpo import Grpo
from online_il.files import write_table
from online_il.layout import step
from online_il.models import weights_hash
from online_il.preflight.toolchain import Unfit
from online_il.probe.trial import Trial
from online_il.records import Prompts, Training, read_table

SCRIPT = Path(__file__).parents[2] / "scripts" / "grpo.py"
STEPS = 2
RATE = 1e-4  # So large that two updates show in bfloat16.
SETTINGS = Grpo(
    prompts_per_step=4,
    rollouts_per_prompt=8,
    updates_per_step=1,
    micro_batch_size=4,
    kl_coefficient=0.001,
    clip_ratio=0.2,
    entropy_coefficient=0.001,
    temperature=1.0,
    max_new_tokens=32,
    max_prompt_tokens=256,
    max_grad_norm=1.0,
    checkpoints=[STEPS],
)
LARGEST_KL = 0.05
"""KL to the base before the first update, nats a token: rounding, if the reference is it."""


def training(trial: Trial) -> str:
    """Train two steps on as many GPUs as there are, as the rules start it."""
    ranks, launch = _launch(trial)
    place = trial.work / "training"
    shutil.rmtree(place, ignore_errors=True)
    prompts = place / "prompts.parquet"
    write_table(_prompts(), Prompts, prompts, {})
    made = {name: place / name for name in ("checkpoints", "training", "record", "state")}
    options = {
        "task": "probe",
        "run": "probe",
        "seed": 1,
        "code": "probe",
        "settings": SETTINGS.model_dump_json(),
        "generation": trial.generation.model_dump_json(),
        "hardware": trial.study.hardware,
        "steps": STEPS,
        "keep": STEPS,
        "learning_rate": RATE,
        "base": trial.policy(1),
        "prompts": prompts,
        "save_minutes": 60,
        "progress": place / "told.json",
        **made,
    }
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    begun = time.perf_counter()
    status = subprocess.run([*shlex.split(launch), str(SCRIPT), *words]).returncode
    if status != 0:
        raise RuntimeError(f"the training ended with status {status}")
    rows = read_table(made["training"], Training)
    if len(rows) != STEPS:
        raise Unfit(f"{len(rows)} updates are recorded, not {STEPS}", "look at its log")
    first = rows.iloc[0]
    if not first["kl"] <= LARGEST_KL:
        raise Unfit(
            f"before the first update the KL to the base is {first['kl']:.3f}, not 0: the "
            "reference has other weights",
            "do not start GRPO on several GPUs here; take the versions of envs/gpu.txt",
        )
    spread = rows["reward_spread"].sum() > 0
    moved = weights_hash(step(made["checkpoints"], STEPS)) != weights_hash(trial.policy(1))
    if spread and not moved:
        raise Unfit("two updates changed no weight", "take the versions of envs/gpu.txt")
    if any(not math.isfinite(value) for value in rows["loss"]):
        raise Unfit("a loss is no number", "take the versions of envs/gpu.txt")
    still = "" if spread else ", no reward differed, so that no weight did"
    return (
        f"{STEPS} steps of GRPO on {ranks} with {trial.generation.engine} in "
        f"{time.perf_counter() - begun:.0f} s, KL to the base {first['kl']:.1e}{still}"
    )


def _launch(trial: Trial) -> tuple[str, str]:
    """Say how many processes train, and what starts them."""
    if not trial.on_gpu:
        return "one process", trial.launch
    import torch

    there = torch.cuda.device_count()
    if trial.gpus > 1 and there >= trial.gpus:
        return f"{trial.gpus} GPUs (FSDP)", trial.launch
    why = "no more were asked for" if trial.gpus <= 1 else f"{there} is here: FSDP was not tried"
    return f"one GPU ({why})", trial.launch_one


def _prompts() -> list[dict[str, str]]:
    """Write prompts whose answers are right now and then, so that rewards differ."""
    text = as_text(
        [{"role": "user", "content": "Choose 1 or 2 by a throw of a coin. Answer with the number."}]
    )
    answer = json.dumps({"grader": "gsm8k", "reference": "1"})
    origin = {"task": "probe", "split": "train", "source": "made here", "revision": "1"}
    rows = range(STEPS * SETTINGS.prompts_per_step)
    return [{"prompt_id": f"p{row}", "text": text, "answer": answer, **origin} for row in rows]
