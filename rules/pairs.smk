# What is compared with what, and where the responses of each lie.

MODELS = {(pair.task, pair.expert, pair.student): pair for pair in STUDY.discrepancy.models}
SAMPLED = {(p.task, name): p for p in MODELS.values() for name in (p.expert, p.student)}


def pairs(task):
    """(expert, student) to compare: each GRPO run, and each other expert, with its students.

    A GRPO run is compared with every other run of the task, whoever that one imitated. Of the
    experts that are no runs, the solver alone answers benchmarks here.
    """
    if STUDY.discrepancy.benchmark not in task.benchmarks:
        return []
    students = [run for run in task.runs if run.method != "grpo"]
    found = [(e.name, s.name) for e in task.runs if e.method == "grpo" for s in students]
    solvers = [expert.name for expert in task.experts if expert.kind == "solver"]
    return found + [(e, s.name) for e in solvers for s in students if s.expert == e]


def pair_tables():
    """The comparisons of all tasks, and of the models that are no runs."""
    listed = [*MODELS, *((task.name, e, s) for task in STUDY.tasks for e, s in pairs(task))]
    return [f"{R}/discrepancy/{task}/{e}/{s}.parquet" for task, e, s in listed]


def responses_files(task, run):
    """The responses of a policy on the compared benchmark, a file a seed."""
    if (task, run) in SAMPLED:
        return [f"{R}/responses/{task}/{run}/seed{seed}.parquet" for seed in TASKS[task].seeds]
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


def tokenizer_of(wildcards):
    """Whose tokenizer counts the tokens of both: the base's, the student's or a named one."""
    task, pair = wildcards.task, (wildcards.task, wildcards.expert, wildcards.student)
    if pair not in MODELS:
        return checkpoints_of_policy(task, "base", None)
    if MODELS[pair].tokenizer is None:
        return checkpoints_of_policy(task, wildcards.student, None)
    return f"{R}/tokenizers/{task}/{wildcards.expert}/{wildcards.student}"


def sampling_of(wildcards):
    """How a model that is no run is sampled for the comparison."""
    return SAMPLED[wildcards.task, wildcards.run].sampling.model_dump_json()
