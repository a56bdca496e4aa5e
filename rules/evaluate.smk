# Input: prompts and the checkpoints of one run. Output: a folder of evaluations, JSON and Parquet.
# Steps: sample and grade each checkpoint on each benchmark, in one process (start-up costs more).


rule evaluate:
    input:
        prompts=lambda wildcards: tables_of_prompts(wildcards.task),
        checkpoints=LAYOUT.checkpoints(),
        record=LAYOUT.record(),
        mixture=mixture_behind,
    output:
        directory(LAYOUT.evaluations()),
    log:
        LAYOUT.log("evaluate", *POLICY),
    benchmark:
        LAYOUT.benchmark("evaluate", *POLICY)
    conda:
        CONDA
    threads: threads_of("evaluate")
    resources:
        **resources_for("evaluate"),
    params:
        **program(
            "evaluate",
            **OF_POLICY,
            settings=evaluation_settings,
            benchmarks=benchmarks_of,
            generation=STUDY.generation,
        ),
        shares=lambda wildcards, input: f"--mixture {input.mixture}" if input.mixture else "",
        state=str(LAYOUT.state() / "evaluation"),
        progress=progress("evaluate"),
        limit=limit,
        unit_rows=unit_rows("evaluate"),
    message:
        "evaluate {wildcards.run} of {wildcards.task}, seed {wildcards.seed}"
    shell:
        command(
            PROGRAM,
            "--checkpoints {input.checkpoints} --record {input.record} --prompts {input.prompts}",
            "--output {output} {params.shares}",
            GOES_ON,
            KEEPS,
            TO_LOG,
        )
