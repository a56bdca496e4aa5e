# Input: the config and a small model. Output: a report.
# Steps: try on one node, in minutes, what the jobs of the study need, each thing in a process of its
# own; on a cluster it is one job with GPUs. What it finds is told as it goes, in the log.

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
    if not is_probe():
        return
    told, lines = LAYOUT.probe("txt"), []
    if told.is_file():
        lines = told.read_text().splitlines()[0 if "--slurm" in place_of_jobs(None) else -1 :]
    missing = "The probe left no report: its job did not start, or was ended at once. See above."
    print("\n".join(["", *(lines or [missing])]), flush=True)


def is_probe():
    """Tell whether this start tries a node."""
    return any(job.rule.name == "probe" for job in workflow.dag.jobs)


use rule fetch as fetch_probed with:
    output:
        directory(LAYOUT.probing / "model"),
    log:
        LAYOUT.log("fetch_probed"),
    benchmark:
        LAYOUT.benchmark("fetch_probed")
    params:
        **program("fetch", settings=probed_model),
        template="",
    message:
        "fetch the model that the probe tries"


# The report is no output, for Snakemake would remove that of a probe that fails. Tried once: a node
# that does not do today does not do a minute later.
rule probe:
    input:
        LAYOUT.probing / "model",
    log:
        LAYOUT.log("probe"),
    retries: 0
    conda:
        CONDA
    threads: PROBED.threads
    resources:
        **{key: of_probe(key) for key in ("gpu_model", "cpus_per_gpu", "nodes", "slurm_partition")},
        mem_mb=capped(PROBED.mem_mb, 1, SITE.max_mem_mb),
        runtime=capped(PROBED.runtime, 1, SITE.max_runtime),
        gpu=PROBED.gpu,
    params:
        script=script("probe"),
        config=os.path.relpath(CONFIG),
        overrides=json.dumps(OVERRIDES),
        results=str(LAYOUT.results),
        launch=launch,
        launch_one=lambda wildcards: launch(wildcards, Namedlist(fromdict={"gpu": 1})),
    message:
        "try what the study needs, some five minutes; {log} tells each finding as it comes"
    shell:
        "python {params.script:q} --config {params.config:q} --overrides {params.overrides:q}"
        " --results {params.results} --model {input} --gpus {resources.gpu}"
        " --launch {params.launch:q} --launch-one {params.launch_one:q} 2>&1 | tee {log}"
