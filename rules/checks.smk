# What the plan and the checks before a study read of the config, and the gate to a task's jobs.

STARTED = time.time_ns()
CHECKED = {"hardware", "generation", "evaluation", "methods", "resources", "plan"}


def checked(wildcards):
    """What the checks of a task read of the config, as a name that its report ends with.

    The name is another one at every start until the checks have passed for these settings: for
    Snakemake a failed job ran with its parameters, too.
    """
    shared = STUDY.model_dump_json(include=CHECKED)
    where = submitted(wildcards) + code("preflight")
    name = hash_of(shared + TASKS[wildcards.task].model_dump_json() + where)
    last = Path(f"{R}/preflight/{wildcards.task}.txt")
    passed = last.read_text().split()[-1] if last.is_file() else ""
    return passed if passed.startswith(name) else f"{name}-{STARTED}"


def gate():
    """The report that a task's first jobs wait for; a new one makes nothing anew."""
    return ancient(f"{R}/preflight/{{task}}.txt")


def submitted(wildcards):
    """The cluster that jobs are sent to, as an option; none for this machine."""
    plugin = workflow.executor_plugin
    profile = os.path.relpath(ROOT / "slurm" / "config.yaml")
    return f"--slurm {profile}" if getattr(plugin, "name", "") == "slurm" else ""


def planned(wildcards):
    """No file; a study that says nothing of GPUs and lengths ends here, with one line."""
    if STUDY.plan is None:
        sys.exit(
            f"error: {CONFIG}: no `plan`, which says what GPU and which lengths are assumed; add it"
            " as config/paper.yaml has it"
        )
    return []
