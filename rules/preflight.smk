# Input: the config and this machine. Output: one report; a task's report is the gate to its jobs.
# Steps: check what can be checked before anything is submitted, and list every problem at once.


rule preflight_task:
    output:
        # Kept when a later check fails: a report that is missing would make all that follows anew.
        update(f"{R}/preflight/{{task}}.txt"),
    log:
        f"{R}/logs/preflight/{{task}}.log",
    benchmark:
        f"{R}/benchmarks/preflight/{{task}}.tsv"
    wildcard_constraints:
        task=any_of(TASKS),
    # Before everything else that could start.
    priority: 100
    conda:
        CONDA
    params:
        script=script("preflight"),
        code=code("preflight"),
        config=os.path.relpath(CONFIG),
        overrides=json.dumps(workflow.config_settings.config),
        checked=checked,
        results=lambda wildcards, output: os.path.dirname(os.path.dirname(output[0])),
        slurm=submitted,
    message:
        "check what {wildcards.task} needs"
    shell:
        "python {params.script:q} --config {params.config:q} --overrides {params.overrides:q}"
        " --task {wildcards.task} --results {params.results} {params.slurm}"
        " --code {params.code} --checked {params.checked} --output {output} 2>&1 | tee {log}"


# The report is no output, and there is no benchmark: the report is there when something is wrong,
# and every call makes it anew.
rule preflight:
    log:
        f"{R}/logs/preflight.log",
    conda:
        CONDA
    params:
        script=script("preflight"),
        config=os.path.relpath(CONFIG),
        overrides=json.dumps(workflow.config_settings.config),
        results=R,
        slurm=submitted,
        report=f"{R}/preflight.txt",
    message:
        "check what the study needs"
    shell:
        "python {params.script:q} --config {params.config:q} --overrides {params.overrides:q}"
        " --results {params.results} {params.slurm} --output {params.report} 2>&1 | tee {log}"
