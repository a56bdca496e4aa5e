# What the other files here share, namely the runs, where their files lie, what a job asks for.

TASKS = {task.name: task for task in STUDY.tasks}
RUNS = {(task.name, run.name): run for task in STUDY.tasks for run in task.runs}
CONDA = str(ROOT / "envs" / "cpu.yaml")


# A run's name stands for one method in all tasks (the config is checked for it), so that a name
# says which rule makes it.
def named(method):
    """Wildcard constraint: the names of the runs of a method."""
    return "|".join({run.name for run in RUNS.values() if run.method == method}) or "(?!)"


def script(name):
    """A rule's script, from the working directory."""
    return os.path.relpath(ROOT / "workflow" / "scripts" / f"{name}.py")


def code(name):
    """The hash of a rule's script and of the modules that it uses: a change reruns the rule."""
    return code_hash(ROOT / "workflow" / "scripts" / f"{name}.py")


def asks(rule):
    """What a job of a rule asks of the machine or the cluster."""
    return STUDY.resources.__dict__[rule].model_dump(exclude={"threads"})


def run_folder(task="{task}", run="{run}", seed="{seed}"):
    """Where a trained policy lies."""
    return f"{R}/runs/{task}/{run}/seed{seed}"


RUN, BASE = run_folder(), run_folder(run="base")


def checkpoints_of_policy(task, run, seed):
    """The folder of a policy's checkpoints; one base serves all seeds."""
    folder = run_folder(task, run, TASKS[task].base.seed if run == "base" else seed)
    return f"{folder}/checkpoints"


def base(wildcards):
    """The checkpoints of the base that a run starts from."""
    return checkpoints_of_policy(wildcards.task, "base", wildcards.seed)


def demonstrations(wildcards):
    """The samples of the expert that a run imitates."""
    expert = RUNS[wildcards.task, wildcards.run].expert
    return f"{R}/samples/{wildcards.task}/{expert}/seed{wildcards.seed}.parquet"


def policies():
    """Every trained policy of the study: (task, run, seed), bases included."""
    bases = [(task.name, "base", task.base.seed) for task in STUDY.tasks]
    runs = [(t, run.name, seed) for (t, _), run in RUNS.items() for seed in seeds_of(TASKS[t], run)]
    return bases + runs


def method_settings(wildcards):
    """The settings that a run shares with all runs of its method, as JSON."""
    run = RUNS[wildcards.task, wildcards.run]
    return getattr(STUDY.methods, run.method).model_dump_json()


def of_run(key):
    """A field of a run's row in the config."""
    return lambda wildcards: getattr(RUNS[wildcards.task, wildcards.run], key)


def keep(wildcards):
    """The steps that a run publishes, with commas between."""
    return ",".join(map(str, checkpoints_of(STUDY, RUNS[wildcards.task, wildcards.run])))


def figure(name):
    """The files of a figure."""
    return expand(f"{R}/figures/{name}.{{kind}}", kind=["svg", "vl.json", "html"])
