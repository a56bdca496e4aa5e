# Input: the database, the comparisons and the theory's tables. Output: the claims, judged.
# Steps: measure each claim of config/claims.yaml where this study has its runs, and say so where not.


rule claims:
    input:
        measurements=MEASUREMENTS,
        claims=CLAIMS,
        discrepancy=existing(pair_tables()) if STUDY.discrepancy else [],
        theory=theory_tables(),
        queries=sources("workflow/sql/claims/*.sql"),
    output:
        database=LAYOUT.database("results"),
        json=LAYOUT.claims("json"),
        markdown=LAYOUT.claims("md"),
    log:
        LAYOUT.log("claims"),
    benchmark:
        LAYOUT.benchmark("claims")
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "claims",
            scale=STUDY.scale,
            theory=str(LAYOUT.theory) if STUDY.theory else None,
            designs=json.dumps(designs()),
            looks=STUDY.looks,
        ),
    message:
        "judge the claims"
    shell:
        command(
            PROGRAM,
            "--claims {input.claims} --measurements {input.measurements}",
            "--discrepancy {input.discrepancy} --database {output.database}",
            "--json {output.json} --markdown {output.markdown}",
            TO_LOG,
        )
