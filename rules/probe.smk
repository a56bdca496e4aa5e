# Input: the config and a small model. Output: a report.
# Steps: try on one node, in minutes, what the jobs of the study need, each thing in a process of its
# own; on a cluster it is one job with GPUs. What it finds is told as it goes, in the log.


include: "probe_settings.smk"


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
        results=lambda wildcards: str(LAYOUT.results),
        launch=launch,
        launch_one=lambda wildcards: launch(wildcards, Namedlist(fromdict={"gpu": 1})),
    message:
        "try what the study needs, some five minutes; {log} tells each finding as it comes"
    shell:
        "python {params.script:q} --config {params.config:q} --overrides {params.overrides:q}"
        " --results {params.results} --model {input} --gpus {resources.gpu}"
        " --launch {params.launch:q} --launch-one {params.launch_one:q} 2>&1 | tee {log}"
