# Input: the checkpoints of a run, of its expert and of its base, and their evaluations. Output: KLs,
# log-ratios, Assumption 1 and Theorem 2 of every run that imitates probabilities or could; one table.


rule divergence:
    input:
        prompts=lambda wildcards: table_of_prompts(wildcards.task, STUDY.divergence.benchmark),
        policies=folders_of_these,
    output:
        LAYOUT.divergence(),
    log:
        LAYOUT.log("divergence", "{task}", "{run}"),
    benchmark:
        LAYOUT.benchmark("divergence", "{task}", "{run}")
    wildcard_constraints:
        run=any_of({run for _, run in MEASURED}),
    conda:
        CONDA
    threads: threads_of("evaluate")
    resources:
        **resources_for("evaluate"),
    params:
        **program(
            "divergence",
            task=attrgetter("task"),
            seeds=lambda wildcards: json.dumps(put_before_each_other(wildcards)),
            responses_to=STUDY.divergence.benchmark,
            responses=lambda wildcards: TASKS[wildcards.task].evaluation.count(
                STUDY.divergence.benchmark, last=False
            ),
            quantiles=STUDY.divergence.quantiles,
            density_clip=STUDY.divergence.density_clip,
            forgetting=lambda wildcards: ",".join(
                name for name in TASKS[wildcards.task].benchmarks if name in benchmarks.FORGETTING
            ),
            generation=STUDY.generation,
        ),
    message:
        "measure {wildcards.run} of {wildcards.task} against its expert's probabilities"
    shell:
        command(PROGRAM, "--prompts {input.prompts} --output {output}", TO_LOG)


rule divergences:
    input:
        [LAYOUT.divergence(*measured) for measured in MEASURED],
    output:
        LAYOUT.table("divergence", "parquet"),
        report(
            LAYOUT.table("divergence", "md"),
            caption="../workflow/report/divergence.rst",
            category="Discrepancy",
        ),
    log:
        LAYOUT.log("divergences"),
    benchmark:
        LAYOUT.benchmark("divergences")
    localrule: True
    conda:
        CONDA
    params:
        **program("divergences"),
    message:
        "write the table of divergences"
    shell:
        command(PROGRAM, "--tables {input} --output {output}", TO_LOG)
