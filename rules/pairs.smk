# What is compared with what, and where the responses of each lie.


def pairs(task):
    """(expert, student) to compare: each GRPO run, and each other expert, with its students.

    A GRPO run is compared with every other run of the task, whoever that one imitated.
    """
    students = [run for run in task.runs if run.method != "grpo"]
    found = [(e.name, s.name) for e in task.runs if e.method == "grpo" for s in students]
    return found + [(e.name, s.name) for e in task.experts for s in students if s.expert == e.name]


def pair_tables():
    """The comparisons of all tasks."""
    return [f"{R}/discrepancy/{t.name}/{e}/{s}.parquet" for t in STUDY.tasks for e, s in pairs(t)]


def responses_files(task, run):
    """The responses of a policy on the compared benchmark, a file a seed."""
    name = f"{STUDY.discrepancy.benchmark}.parquet"
    if (task, run) not in RUNS:
        return [f"{R}/samples/{task}/{run}/seed{seed}.{name}" for seed in TASKS[task].seeds]
    policy = RUNS[task, run]
    folder = f"{R}/eval/{task}/{run}/seed{{}}/step{policy.steps}/{name}"
    return [folder.format(seed) for seed in seeds_of(TASKS[task], policy)]


def responses_input(task, run):
    """What holds these files: a run's evaluations, which are folders, or the files themselves."""
    if (task, run) not in RUNS:
        return responses_files(task, run)
    return [f"{R}/eval/{task}/{run}/seed{seed}" for seed in seeds_of(TASKS[task], RUNS[task, run])]
