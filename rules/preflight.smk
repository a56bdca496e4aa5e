# Input: the config and this machine. Output: a report.
# Steps: check what can be checked before anything is submitted, and list every problem at once.
# The same checks stand before a task's first job (checks.smk).


# The report is no output, and there is no benchmark: the report is there when something is wrong,
# and every call makes it anew.
rule preflight:
    log:
        LAYOUT.log("preflight"),
    localrule: True
    conda:
        CONDA
    params:
        script=script("preflight"),
        config=os.path.relpath(CONFIG),
        overrides=json.dumps(OVERRIDES),
        results=str(LAYOUT.results),
        slurm=place_of_jobs,
        report=str(LAYOUT.preflight()),
    message:
        "check what the study needs"
    shell:
        "python {params.script:q} --config {params.config:q} --overrides {params.overrides:q}"
        " --results {params.results} {params.slurm} --output {params.report} 2>&1 | tee {log}"
