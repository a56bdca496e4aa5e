# Input: the database, the comparisons and the theory's tables. Output: the paper's claims, judged.
# Steps: measure each claim of config/claims.yaml where this study has its runs, and say so where not.


from online_il.tasks import miniature_data


def blocks_of_study():
    """Count the blocks: the seeds that every task with runs has."""
    return min((len(task.seeds) for task in STUDY.tasks if task.runs), default=0)


def whole_benchmarks():
    """List, as <task>/<benchmark>, those whose prompts are all that there are."""
    small = [task for task in STUDY.tasks if task.data.kind == "miniature"]
    return [
        f"{task.name}/{name}"
        for task in small
        for name in miniature_data.whole_benchmarks(task.data)
    ]


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
            whole=",".join(whole_benchmarks()),
            looks=STUDY.looks,
            blocks=blocks_of_study(),
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
