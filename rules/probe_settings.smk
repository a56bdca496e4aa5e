# What the probe asks for, what it tries, and how its report is told.

from types import SimpleNamespace

from snakemake.iocontainers import Namedlist

ASKED = [getattr(task.resources, rule) for task in STUDY.tasks for rule in ("finetune", *METHODS)]
# Two GPUs train together where any job of the study has several: more would be the same again.
ON_GPUS = STUDY.hardware == "gpu"
PROBED = SimpleNamespace(
    threads=8 if ON_GPUS else 1,
    mem_mb=64_000 if ON_GPUS else 4_000,
    runtime=40,
    gpu=min(2, max(asked.gpu for asked in ASKED if asked)) if ON_GPUS else 0,
)


def of_probe(key):
    """Give what the probe's job asks of a cluster beside the number of its GPUs."""
    return lambda wildcards: gpu_job(SITE, PROBED.gpu).get(key)


def probed_model(wildcards):
    """Give the model that is tried: of 135M parameters from a package, without GPUs a tiny one."""
    study = load_study(ROOT / "config" / ("small.yaml" if ON_GPUS else "smoke.yaml"), {})
    model = next(task.base for task in study.tasks if task.base)
    return model_without_use(model)


def forget_probe():
    """Remove the report of an earlier probe where one is about to start."""
    if is_probe():
        for kind in ("json", "txt"):
            LAYOUT.probe(kind).unlink(missing_ok=True)


def tell_probe():
    """Show the report of a probe that ran on a cluster's node; of one here, told as it went, the end."""
    told, lines = LAYOUT.probe("txt"), []
    if told.is_file():
        lines = told.read_text().splitlines()[0 if "--slurm" in place_of_jobs(None) else -1 :]
    missing = "The probe left no report: its job did not start, or was ended at once. See above."
    print("\n".join(["", *(lines or [missing])]), flush=True)


def is_probe():
    """Tell whether this start tries a node."""
    return any(job.rule.name == "probe" for job in workflow.dag.jobs)
