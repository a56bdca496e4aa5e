"""How large a model the tests on a GPU train: as large as their card takes, by the estimate."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from online_il.config.plan import ModelShape
from online_il.config.settings import Settings
from online_il.config.study import Study, load
from online_il.cost.memory import GIB, Memory
from online_il.cost.shape import parameters
from online_il.preflight.memory import training_memory

ROOT = Path(__file__).parents[2]
ROOM = 0.85
"""Share of the card that the estimate may take: it is good to a fifth, and the rest is room."""
REPO = "made/here"
QWEN = {"family": "qwen2", "vocabulary": 151_936, "output": "tied", "positions": 32_768}
WIDTHS = (
    {"hidden": 2048, "intermediate": 11008, "heads": 16, "kv_heads": 2, "head_dim": 128},  # 3B
    {"hidden": 1536, "intermediate": 8960, "heads": 12, "kv_heads": 2, "head_dim": 128},  # 1.5B
    {"hidden": 896, "intermediate": 4864, "heads": 14, "kv_heads": 2, "head_dim": 64},  # 0.5B
)
"""Qwen2.5's: each with as many blocks as fit, 36 at most."""
BATCHES = (16, 8, 4)
"""Micro-batches: the paper's own where it fits."""


class Trained(NamedTuple):
    """A training of the paper's Countdown that fits a card."""

    shape: ModelShape
    settings: Settings
    study: Study
    estimate: Memory


def fitting(method: str, gib: float) -> Trained:
    """Find the largest model that a method trains on one card of so many GiB."""
    found = [
        trained
        for width in WIDTHS
        for layers in (36, 28, 24, 18, 12, 8, 4)
        for batch in BATCHES
        if (trained := _training(method, gib, width | {"layers": layers}, batch)).estimate.peak
        <= ROOM * gib * GIB
    ]
    return max(found, key=lambda one: (parameters(one.shape), one.settings.micro_batch_size))


SHARED = {"colocated_share": 0.3}
"""A share for vLLM that is known; left to the plan, it takes all that the training leaves."""


@cache
def _paper() -> Study:
    one = {rule: {"gpu": 1} for rule in ("grpo", "sft", "distill")}
    return load(ROOT / "config" / "paper.yaml", {"resources": one, "generation": SHARED})


def _training(method: str, gib: float, width: dict[str, int], batch: int) -> Trained:
    study = _paper()
    shape = ModelShape.model_validate(QWEN | width)
    assert study.plan is not None
    plan = study.plan.model_copy(update={"gpu_memory_gib": gib, "models": {REPO: shape}})
    (task,) = [task for task in study.tasks if task.name == "countdown"]
    settings = getattr(task.methods, method).model_copy(update={"micro_batch_size": batch})
    methods = task.methods.model_copy(update={method: settings})
    base = task.base.model_copy(update={"repo": REPO})
    task = task.model_copy(update={"base": base, "methods": methods})
    study = study.model_copy(update={"plan": plan})
    return Trained(shape, settings, study, training_memory(study, plan, task)[method])
