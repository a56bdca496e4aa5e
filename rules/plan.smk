# Input: the config. Output: what the study costs, as a table and a page.
# Steps: count jobs, tokens, GPU-hours and money; nothing is trained or downloaded for it.


rule plan:
    input:
        require_plan,
    output:
        expand(f"{R}/plan.{{kind}}", kind=["parquet", "md", "html"]),
    log:
        f"{R}/logs/plan.log",
    benchmark:
        f"{R}/benchmarks/plan.tsv"
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
