# Input: the database, the comparisons and the theory's tables. Output: the paper's claims, judged.
# Steps: measure each claim of config/claims.yaml where this study has its runs, and say so where not.


rule claims:
    input:
        measurements=f"{R}/measurements.duckdb",
        claims=CLAIMS,
        discrepancy=there(pair_tables()) if STUDY.discrepancy else [],
        theory=theory_tables(),
        queries=sources("workflow/sql/claims/*.sql"),
    output:
        database=f"{R}/results.duckdb",
        json=f"{R}/claims.json",
        markdown=f"{R}/claims.md",
    log:
        f"{R}/logs/claims.log",
    benchmark:
        f"{R}/benchmarks/claims.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("claims"),
        code=code("claims"),
        scale=STUDY.scale,
        theory=f"--theory {R}/theory" if STUDY.theory else "",
    message:
        "judge the paper's claims"
    shell:
        "python {params.script:q} --scale {params.scale:q} --claims {input.claims}"
        " --measurements {input.measurements} {params.theory} --discrepancy {input.discrepancy}"
        " --code {params.code} --database {output.database} --json {output.json}"
        " --markdown {output.markdown} > {log} 2>&1"
