# Which names the rules answer to, wildcard constraints, and what is said of each task by name.

import re

from online_il.tasks import miniature_data


wildcard_constraints:
    seed=r"\d+",


def any_of(names):
    """Constrain a wildcard to some names."""
    return "|".join(sorted(map(re.escape, names))) or "(?!)"


# A run's name stands for one method in all tasks (the config is checked for it), so that a name
# says which script makes it.
def runs_of_method(method):
    """Constrain a wildcard to the names of the runs of a method."""
    return any_of({run.name for run in RUNS.values() if run.method == method})


def tasks_with_data(*kinds):
    """Constrain a wildcard to the tasks whose data are of some kinds."""
    return any_of({name for name, task in TASKS.items() if task.data.kind in kinds})


def tasks_with_base(*kinds, finetuned):
    """Constrain a wildcard to the tasks whose base is of some kinds, and fine-tuned first or not."""
    bases = {name: task.base for name, task in TASKS.items() if task.base}
    return any_of(
        {
            name
            for name, base in bases.items()
            if base.kind in kinds and bool(getattr(base, "finetuning", None)) == finetuned
        }
    )


def names_of_bases():
    """Constrain a wildcard to the names of the bases."""
    return any_of({name for task in TASKS.values() for name in task.named_bases})


def experts_of_kind(*kinds):
    """Constrain a wildcard to the names of the experts of some kinds."""
    return any_of({expert.name for expert in EXPERTS.values() if expert.kind in kinds})


def policies_with_weights():
    """Constrain a wildcard to the names of bases, of all runs, and of experts with weights."""
    experts = {expert.name for expert in EXPERTS.values() if expert.has_weights}
    bases = {name for task in TASKS.values() for name in task.named_bases}
    return any_of({*bases, *(name for _, name in RUNS), *experts})


def designs():
    """Say of each task with runs what its database does not: seeds, bases, which prompts are all."""
    return {
        name: {
            "seeds": task.seeds,
            "shared_bases": [
                base for base, own in task.named_bases.items() if own.seed is not None
            ],
            "whole": (
                miniature_data.whole_benchmarks(task.data)
                if task.data.kind in ("miniature", "english")
                else []
            ),
        }
        for name, task in TASKS.items()
        if task.runs
    }
