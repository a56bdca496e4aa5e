# What a page is about: all runs of a study, or with `--config partial=true` those that are measured, so
# that a study in which a run failed, or is not there yet, shows what it has.


def there(files):
    """The files, or of a part of a study those that are there."""
    return [path for path in files if Path(path).exists()] if PARTIAL else files


def policies(tasks):
    """Every trained policy of some tasks: (task, run, seed), bases included."""
    bases = [(name, "base", TASKS[name].base.seed) for name in tasks if TASKS[name].base]
    runs = [(t, run.name, seed) for (t, _), run in RUNS.items() for seed in seeds_of(TASKS[t], run)]
    found = bases + [policy for policy in runs if policy[0] in tasks]
    return [(t, run, k) for t, run, k in found if there([f"{R}/eval/{t}/{run}/seed{k}"])]


def hint():
    """After a failure: how to see what is there."""
    if not PARTIAL and any(Path(f"{R}/eval").glob("*/*/seed*")):
        print(
            f"{R}/report.html can show what is measured so far: snakemake --cores 2 report_page"
            f" --config partial=true --configfile {os.path.relpath(CONFIG)}",
            file=sys.stderr,
        )
