# Input: every evaluation and training table. Output: one DuckDB database; a second one of some
# tasks or runs where a figure needs only those, so that asking for it trains nothing else.
# Steps: read the files with SQL, one question a file, and check that they belong together.

for stored in DATABASES:

    rule:
        name:
            "aggregate" if stored == "measurements" else f"aggregate_{stored}"
        input:
            evaluations=[LAYOUT.evaluations(*policy) for policy in measured_in(stored)],
            records=[LAYOUT.record(*policy) for policy in measured_in(stored)],
            training=[LAYOUT.training(*policy) for policy in measured_in(stored)],
            queries=sources("workflow/sql/*.sql"),
        output:
            LAYOUT.database(stored),
        log:
            LAYOUT.log("aggregate", stored),
        benchmark:
            LAYOUT.benchmark("aggregate", stored)
        localrule: True
        conda:
            CONDA
        params:
            **program(
                "aggregate",
                results=str(LAYOUT.results),
                policies=",".join(map(str, measured_in(stored))),
            ),
        message:
            "gather everything that was measured in {output}"
        shell:
            command(PROGRAM, "--database {output}", TO_LOG)


# Nothing needs it: the evaluations in the files of lm-evaluation-harness, made where they are asked for.
rule harness:
    input:
        evaluations=[LAYOUT.evaluations(*policy) for policy in measured_in("measurements")],
        prompts=[path for task in DATABASES["measurements"] for path in tables_of_prompts(task)],
    output:
        directory(LAYOUT.harness),
    log:
        LAYOUT.log("harness"),
    benchmark:
        LAYOUT.benchmark("harness")
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "harness",
            results=str(LAYOUT.results),
            policies=",".join(map(str, measured_in("measurements"))),
        ),
    message:
        "write the evaluations as lm-evaluation-harness does, {output}"
    shell:
        command(PROGRAM, "--output {output}", TO_LOG)
