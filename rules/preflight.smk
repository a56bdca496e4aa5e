# Input: the config and this machine. Output: what the study lacks (preflight), and what it costs (plan).
# Steps: check what can be checked before anything is submitted, and list every problem at once; the same
# checks stand before a task's first job (checks.smk). Count jobs, tokens, GPU-hours and money.


# The report is no output, and there is no benchmark: the report is there when something is wrong,
# and every call makes it anew. So it is with the plan, which says what it costs each time it is asked.
rule preflight:
    log:
        LAYOUT.log("preflight"),
    # What lacks today lacks a second later, too.
    retries: 0
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


rule plan:
    input:
        require_plan,
    log:
        LAYOUT.log("plan"),
    localrule: True
    conda:
        CONDA
    params:
        script=script("plan"),
        code=code("plan"),
        config=os.path.relpath(CONFIG),
        overrides=json.dumps(OVERRIDES),
        budget=budget_option(),
        files=[str(LAYOUT.plan(kind)) for kind in ("parquet", "md", "html")],
    message:
        "say what the study costs"
    shell:
        "python {params.script:q} --config {params.config:q} --overrides {params.overrides:q}"
        " --code {params.code} {params.budget} --output {params.files:q} 2>&1 | tee {log}"
