"""The scale of a study, and the limits of what it can show."""

from typing import NamedTuple

from online_il.config.study import Study


class Scale(NamedTuple):
    """Sentences for the head of the page."""

    what: str
    limits: str
    measured: str


SMALL = (
    "a pretrained language model of 135 million parameters (SmolLM2-135M-Instruct), fine-tuned to "
    "search for Countdown's answers in English",
    "It cannot show what a model of billions of parameters, long reasoning or prompts of several "
    "hundred tokens change, nor anything about GSM8K, DeepScaleR, MMLU or the models of Table 1.",
)
WHAT = {
    "smoke": (
        "random models and two training steps, to see that every rule runs",
        "Nothing here says anything about the paper: no model has learnt anything. "
        "Verdicts of this scale only show that they can be computed.",
    ),
    "mini": (
        "a transformer of some 139,000 parameters, trained from scratch on a small Countdown, "
        "in place of a pretrained language model",
        "It cannot show what pretraining, a large vocabulary or long reasoning change, nor "
        "anything about GSM8K, DeepScaleR, MMLU or the models of Table 1.",
    ),
    "small": SMALL,
    "small-gpu": SMALL,
    "small-short": (
        SMALL[0],
        "Every arm is a few updates long: it shows that each of them runs on a real model, and not "
        f"what any ends at. {SMALL[1]}",
    ),
    "paper": (
        "the paper's models, data and settings",
        "Where the paper leaves a setting open, it is ours, and is listed below.",
    ),
}
SHARED = "One base serves all seeds, so no interval covers what another base would do."
OWN = (
    "Each seed has a base of its own, so that intervals cover what another of such bases would do, "
    "if their effects are near normal: a rare base that does otherwise, and is none of these, is "
    "not in them."
)
OTHER = (
    "a study of its own, with the settings listed below",
    "What it cannot show follows from its models and data; the paper has no such study.",
)


def scale_of(study: Study) -> Scale:
    """Describe a study, its limits and the size of each task that trains something."""
    measured = []
    for task in study.tasks:
        if task.runs:
            seeds = max(len(task.seeds_of(run)) for run in task.runs)
            plural = "s" if seeds != 1 else ""
            measured.append(f"{task.name}: {len(task.runs)} runs, {seeds} seed{plural}")
    what, limits = WHAT.get(study.scale, OTHER)
    bases = [base for task in study.tasks for base in task.named_bases.values()]
    if bases:
        shared = any(base.seed is not None for base in bases)
        limits = f"{limits} {SHARED if shared else OWN}"
    return Scale(what, limits, "; ".join(measured))
