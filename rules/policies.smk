# Which policies there are and where their weights and demonstrations lie. A page is about all runs of
# a study, or with `--config partial=true` about those that are measured, so that a study in which a
# run failed, or is not there yet, shows what it has.


def checkpoints_of_policy(task, run, seed):
    """Give the folder of a policy's checkpoints; one base serves all seeds, and so does a model."""
    if (task, run) in EXPERTS:
        return LAYOUT.model(task, run)
    return LAYOUT.checkpoints(task, run, TASKS[task].base.seed if run == "base" else seed)


def base(wildcards):
    """Give the checkpoints of the base that a run starts from."""
    return checkpoints_of_policy(wildcards.task, "base", wildcards.seed)


def demonstrations(wildcards):
    """Give the samples of the expert that a run imitates."""
    return LAYOUT.samples(wildcards.task, of_run("expert")(wildcards), wildcards.seed)


def checkpoints_of_expert(wildcards):
    """Give the checkpoints of the expert that a run imitates."""
    return checkpoints_of_policy(wildcards.task, of_run("expert")(wildcards), wildcards.seed)


def existing(files):
    """Give the files, or of a part of a study those that are there."""
    return [path for path in files if Path(path).exists()] if PARTIAL else files


def policies(tasks):
    """List every trained policy of some tasks: (task, run, seed), bases included."""
    bases = [(name, "base", TASKS[name].base.seed) for name in tasks if TASKS[name].base]
    runs = [(t, run.name, seed) for (t, _), run in RUNS.items() for seed in TASKS[t].seeds_of(run)]
    found = bases + [policy for policy in runs if policy[0] in tasks]
    return [Policy(*policy) for policy in found if existing([LAYOUT.evaluations(*policy)])]


def say_how_to_see_what_exists():
    """Say after a failure how to see what is measured."""
    if not PARTIAL and any(LAYOUT.evaluations(*p).is_dir() for p in LAYOUT.existing_policies()):
        print(
            f"{LAYOUT.report} can show what is measured so far: snakemake --cores 2 report_page"
            f" --config partial=true --configfile {os.path.relpath(CONFIG)}",
            file=sys.stderr,
        )
