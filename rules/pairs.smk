# What is compared with what, and where the responses of each lie.

MODELS = {(pair.task, pair.expert, pair.student): pair for pair in STUDY.discrepancy.models}
SAMPLED = {(p.task, name): p for p in MODELS.values() for name in (p.expert, p.student)}


def pairs(task):
    """List (expert, student) to compare: each GRPO run, and each other expert, with its students.

    A GRPO run is compared with every other run of the task, whoever that one imitated, but for the
    students of mixtures. Of the experts that are no runs, the solver and mixtures alone answer
    benchmarks here. Where there are mixtures, compared are SFT and on-policy distillation from the
    base alone: a mixture's other students are cells of Figure 7, and a row each would bury these.
    """
    if STUDY.discrepancy.benchmark not in task.benchmarks:
        return []
    students = [run for run in task.runs if METHODS[run.method].needs_expert]
    trained = [run for run in task.runs if not METHODS[run.method].needs_expert]
    main = arms.main_mixture(task)
    if main is not None:
        usual = (arms.SFT, arms.ON_POLICY)
        students = [s for s in students if arms.way_of(task, s) in usual and s.start == "base"]
    mixed = {mixture.name for mixture in task.mixtures}
    own = [student for student in students if student.expert not in mixed]
    found = [(expert.name, student.name) for expert in trained for student in own]
    answering = [one.name for one in task.experts if one.kind == "solver" or one == main]
    return found + [(e, s.name) for e in answering for s in students if s.expert == e]


def pair_tables():
    """List the comparisons of all tasks, and of the models that are no runs."""
    listed = [*MODELS, *((task.name, e, s) for task in STUDY.tasks for e, s in pairs(task))]
    return [LAYOUT.discrepancy(*pair) for pair in listed]


def responses_files(task, run):
    """List the responses of a policy on the compared benchmark, a file a seed."""
    benchmark, seeds = STUDY.discrepancy.benchmark, TASKS[task].seeds
    if (task, run) in SAMPLED:
        return [str(LAYOUT.responses(task, run, seed)) for seed in seeds]
    if (task, run) not in RUNS and not is_mixture(task, run):
        return [str(LAYOUT.samples(task, run, seed, benchmark)) for seed in seeds]
    last = RUNS[task, run].steps if (task, run) in RUNS else 0
    folders = responses_input(task, run)
    return [str(responses_of(evaluation(f, last, benchmark, "policy"))) for f in folders]


def responses_input(task, run):
    """List what holds these files: a run's evaluations, which are folders, or the files."""
    if (task, run) not in RUNS and not is_mixture(task, run):
        return responses_files(task, run)
    own = TASKS[task]
    mixtures = {mixture.name: own.seeds_of_mixture(mixture) for mixture in own.mixtures}
    seeds = mixtures[run] if run in mixtures else own.seeds_of(RUNS[task, run])
    return [LAYOUT.evaluations(task, run, seed) for seed in seeds]


def tokenizer_settings(wildcards):
    """Give the tokenizer that a pair of models names."""
    return MODELS[wildcards.task, wildcards.expert, wildcards.student].tokenizer


def tokenizer_of(wildcards):
    """Say whose tokenizer counts the tokens of both: the base's, the student's or a named one."""
    task, pair = wildcards.task, (wildcards.task, wildcards.expert, wildcards.student)
    if pair not in MODELS:
        return checkpoints_of_policy(task, "base", TASKS[task].seeds[0])
    if MODELS[pair].tokenizer is None:
        return checkpoints_of_policy(task, wildcards.student, None)
    return LAYOUT.tokenizer(*pair)
