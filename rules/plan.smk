# Input: the config. Output: what the study costs, as a table and a page.
# Steps: count jobs, tokens, GPU-hours and money; nothing is trained or downloaded for it.


rule plan:
    input:
        require_plan,
        page=sources("workflow/report/*.jinja") + sources("workflow/report/page.css"),
    output:
        [LAYOUT.plan(kind) for kind in ("parquet", "md", "html")],
    log:
        LAYOUT.log("plan"),
    benchmark:
        LAYOUT.benchmark("plan")
    localrule: True
    conda:
        CONDA
    params:
        script=script("plan"),
        code=code("plan"),
        config=os.path.relpath(CONFIG),
        overrides=json.dumps(OVERRIDES),
        # A change of the file makes the plan anew.
        study=hash_of(STUDY.model_dump_json()),
    message:
        "say what the study costs"
    shell:
        "python {params.script:q} --config {params.config:q} --overrides {params.overrides:q}"
        " --code {params.code} --output {output} 2>&1 | tee {log}"
