# Which policies there are and where their weights and demonstrations lie. A page is about all runs of
# a study, or with `--config partial=true` about those that are measured, so that a study in which a
# run failed, or is not there yet, shows what it has.


def checkpoints_of_policy(task, run, seed):
    """Give the folder of a policy's checkpoints; a model serves all seeds, and so may a base."""
    if (task, run) in EXPERTS and not is_mixture(task, run):
        return LAYOUT.model(task, run)
    own = TASKS[task]
    return LAYOUT.checkpoints(
        task, run, own.seed_of_base(run, seed) if run in own.named_bases else seed
    )


def is_mixture(task, name):
    """Say whether a name is that of a mixture of policies."""
    return name in {mixture.name for mixture in TASKS[task].mixtures}


def base(wildcards):
    """Give the checkpoints of what a run starts from: a base, or another run."""
    name, _ = of_run("begins")(wildcards)
    return checkpoints_of_policy(wildcards.task, name, wildcards.seed)


def mixture_behind(wildcards):
    """Give the checkpoints of the mixture that a policy is, or imitates; none of another policy."""
    task, name, seed = wildcards.task, wildcards.run, wildcards.seed
    if not is_mixture(task, name):
        name = getattr(RUNS.get((task, name)), "expert", None)
    return checkpoints_of_policy(task, name, seed) if is_mixture(task, name) else []


def checkpoints_of_expert(wildcards):
    """Give the checkpoints of the expert that a run imitates."""
    return checkpoints_of_policy(wildcards.task, of_run("expert")(wildcards), wildcards.seed)


def existing(files):
    """Give the files, or of a part of a study those that are there."""
    return [path for path in files if Path(path).exists()] if PARTIAL else files


def policies(tasks):
    """List every trained policy of some tasks: (task, run, seed), bases included."""
    bases = [
        (t, name, seed)
        for t in tasks
        for name in TASKS[t].named_bases
        for seed in TASKS[t].seeds_of_base(name)
    ]
    runs = [(t, run.name, seed) for (t, _), run in RUNS.items() for seed in TASKS[t].seeds_of(run)]
    runs += [
        (t.name, m.name, seed)
        for t in STUDY.tasks
        for m in t.mixtures
        for seed in t.seeds_of_mixture(m)
    ]
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


def policies_of_mixture(wildcards):
    """Give the folder of each policy that a mixture is made of, by name; the solver has none."""
    task, seed = wildcards.task, wildcards.seed
    mixture = EXPERTS[task, wildcards.run]
    return {
        name: str(checkpoints_of_policy(task, name, seed))
        for name in mixture.made_of.values()
        if getattr(EXPERTS.get((task, name)), "kind", "") != "solver"
    }
