# Input: the database, the comparisons and the theory's tables. Output: the paper's claims, judged.
# Steps: measure each claim of config/claims.yaml where this study has its runs, and say so where not.


from online_il.tasks import miniature_data


def designs():
    """Say of each task with runs what its database does not: seeds, bases, which prompts are all."""
    return {
        name: {
            "seeds": task.seeds,
            "shared_bases": [
                base for base, own in task.named_bases.items() if own.seed is not None
            ],
            "whole": (
                miniature_data.whole_benchmarks(task.data)
                if task.data.kind in ("miniature", "english")
                else []
            ),
        }
        for name, task in TASKS.items()
        if task.runs
    }


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
        "judge the paper's claims"
    shell:
        command(
            PROGRAM,
            "--claims {input.claims} --measurements {input.measurements}",
            "--discrepancy {input.discrepancy} --database {output.database}",
            "--json {output.json} --markdown {output.markdown}",
            TO_LOG,
        )
