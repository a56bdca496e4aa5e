"""Run a study look by look, as its config plans them, and say after each what it decided.

A look that has been judged is not run again, so that the same command goes on after a stop, and
`blocks` more of the same study are one command. Each look is Snakemake with `blocks` of that look.
"""

import subprocess
import sys
from pathlib import Path

from pydantic import Field

from online_il.claims.records import read_claims
from online_il.errors import InputError
from online_il.layout import Layout
from online_il.program.cli import ProgramOptions, main
from online_il.statistics.looks import plan_of
from online_il.studies import load_study

SCRIPTS = Path(__file__).parent


class Options(ProgramOptions):
    config: Path = Field(Path("config/mini.yaml"), description="study, with looks")
    cores: int = Field(2, gt=0, description="jobs side by side")
    retrain: bool = Field(False, description="train finished policies again where that is due")


def run(options: Options) -> None:
    study = load_study(options.config)
    if not study.looks:
        raise InputError(f"{options.config}: no `looks`; add them, or run snakemake as it is")
    layout, plan = Layout(Path("results", study.scale)), plan_of(tuple(study.looks))
    for task in load_study(options.config, {"blocks": None, "looks": None}).tasks:
        if task.runs and len(task.seeds) < plan.looks[-1]:
            raise InputError(
                f"{options.config}: looks = {study.looks}: {task.name} has {len(task.seeds)} "
                "seeds, one a block; leave out looks beyond them, or add seeds"
            )
    judged = read_claims(layout.claims()).blocks if layout.claims().is_file() else 0
    for look in plan.looks:
        if look < judged:
            continue
        words = ["--configfile", str(options.config), "--config", f"blocks={look}"]
        words += ["retrain=true"] if options.retrain else []
        snakemake = [sys.executable, "-m", "snakemake", "--cores", str(options.cores), *words]
        watch = [sys.executable, str(SCRIPTS / "watch.py"), "--cores", str(options.cores)]
        command = [*watch, "--results", str(layout.results), "--", *snakemake]
        if status := subprocess.run(command).returncode:
            sys.exit(status)


if __name__ == "__main__":
    main(run, Options, __doc__)
