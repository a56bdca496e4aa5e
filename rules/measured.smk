# Which policies are put before each other, and where they lie.

import math

STUDENTS = STUDY.divergence.students if STUDY.divergence else lambda task: []
MEASURED = [(task.name, run.name) for task in STUDY.tasks for run in STUDENTS(task)]


def place(task, name, seed):
    """Say where a policy and its evaluations lie; None of what is not evaluated."""
    own, bases = TASKS[task], TASKS[task].named_bases
    if name not in bases and (task, name) not in RUNS and not is_mixture(task, name):
        return None
    seed = own.seed_of_base(name, seed) if name in bases else seed
    return {
        "name": name,
        "checkpoints": str(checkpoints_of_policy(task, name, seed)),
        "evaluations": str(LAYOUT.evaluations(task, name, seed)),
    }


def put_before_each_other(wildcards):
    """Give the policies by role, by seed: of the class is also what the expert holds of it."""
    task, run = wildcards.task, RUNS[wildcards.task, wildcards.run]
    mixture = EXPERTS.get((task, run.expert))
    base, best = TASKS[task].base_of(run.name), mixture.learnable if mixture else run.expert
    if best and TASKS[task].base_of(best) != base:  # Of another class.
        best = None
    weight = (mixture.parts[best] if mixture else 1.0) if best else None
    names = {"student": run.name, "expert": run.expert, "base": base, "best": best}
    return {
        seed: {role: place(task, name, seed) for role, name in names.items()}
        | {"log_coverage": math.log(1 / weight) if weight else None}
        for seed in TASKS[task].seeds_of(run)
    }


def folders_of_these(wildcards):
    """List the folders of these policies."""
    roles = [by_role.values() for by_role in put_before_each_other(wildcards).values()]
    places = [one for named in roles for one in named if isinstance(one, dict)]
    return sorted({one[key] for one in places for key in ("checkpoints", "evaluations")})


def divergence_outputs():
    """List the table of divergences; a study without them has none."""
    if STUDY.divergence is None:
        return []
    return [LAYOUT.table("divergence", kind) for kind in ("parquet", "md")]
