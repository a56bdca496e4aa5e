# Which figures a study of mixtures has, which policies they need, and what is said of a figure that a
# study has not.

from online_il.config import arms


def students_of(figure, task):
    """List the students that a figure of mixtures shows, of those measured with their like."""
    if not set(task.benchmarks) & set(benchmarks.IN_DISTRIBUTION):
        return []
    measured = {policy.run for policy in policies([task.name])}
    listed = arms.FIGURES[figure](task)
    return [name for name in listed if arms.measured_for(task, [name]) <= measured]


# By figure of mixtures, the students that it shows by task; a figure without any is not made.
MIXTURES = {
    name: {task.name: names for task in STUDY.tasks if (names := students_of(name, task))}
    for name in arms.FIGURES
}
MIXTURES = {name: shown for name, shown in MIXTURES.items() if shown}


def measured_in(stored):
    """List the policies of a database: those of its tasks, or of a figure of mixtures its own."""
    if stored not in MIXTURES:
        return policies(DATABASES[stored])
    names = {t: arms.measured_for(TASKS[t], own) for t, own in MIXTURES[stored].items()}
    return [policy for policy in policies(names) if policy.run in names[policy.task]]


DATABASES |= {
    name: list(shown)
    for name, shown in MIXTURES.items()
    if measured_in(name) != measured_in("measurements")
}


NOTHING_COMPARED = (
    "nothing is compared: a student is compared with the expert it imitates where that is a run by grpo, a solver"
    " or a mixture; a pair of other models stands under `discrepancy.models`"
)


def lacked(figures):
    """Say of each figure that the study has not what its config lacks."""
    reasons = {
        "figure3": NOTHING_COMPARED if STUDY.discrepancy else "its config has no `discrepancy`",
        "figure4": "its config has no `theory`",
        "figure5": "no run imitates a mixture with a learnable part from the base",
        "figure6": "no run imitates in one way, as long, two mixtures that differ in weights alone",
        "figure7": "no run imitates a mixture with a learnable part",
    }
    reasons |= dict.fromkeys(THEOREMS, reasons["figure4"])
    if "figure3" not in figures:
        reasons["table1"] = reasons["figure3"]
    return {name: why for name, why in reasons.items() if name not in figures}


def refused(name, why):
    """Give inputs that are asked for where a figure is that the study has not: one line instead."""
    return lambda wildcards: sys.exit(f"error: {CONFIG}: the study has no {name}: {why}")
