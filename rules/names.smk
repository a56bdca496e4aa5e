# Which names the rules answer to: wildcard constraints.

import re


wildcard_constraints:
    seed=r"\d+",


def any_of(names):
    """Wildcard constraint: one of some names."""
    return "|".join(sorted(map(re.escape, names))) or "(?!)"


# A run's name stands for one method in all tasks (the config is checked for it), so that a name
# says which script makes it.
def named(method):
    """Wildcard constraint: the names of the runs of a method."""
    return any_of({run.name for run in RUNS.values() if run.method == method})


def tasks_with(key, *kinds):
    """Wildcard constraint: the tasks whose data or base are of some kinds."""
    return any_of({n for n, t in TASKS.items() if getattr(getattr(t, key), "kind", "") in kinds})


def finetuned():
    """Wildcard constraint: the tasks whose base is fine-tuned first."""
    return any_of({n for n, t in TASKS.items() if getattr(t.base, "finetuning", None)})


def adopted():
    """Wildcard constraint: the tasks whose base is a model as it is."""
    kinds = {n: getattr(t.base, "kind", "") for n, t in TASKS.items()}
    taken = {n for n, kind in kinds.items() if kind in ("model", "random")}
    return any_of({n for n in taken if not TASKS[n].base.finetuning})


def experts_of(*kinds):
    """Wildcard constraint: the names of the experts of some kinds."""
    return any_of({expert.name for expert in EXPERTS.values() if expert.kind in kinds})


def weighted():
    """Wildcard constraint: the names of all policies that have weights."""
    experts = {expert.name for expert in EXPERTS.values() if expert.kind in ("model", "random")}
    return any_of({"base", *(name for _, name in RUNS), *experts})
