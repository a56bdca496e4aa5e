# Input: evaluations of two policies. Output: how far apart their responses are; Table 1.
# Steps: compare each expert with each student on the same prompts, then gather.

OF_PAIR = ("{task}", "{expert}", "{student}")


rule tokenizer:
    output:
        directory(LAYOUT.tokenizer()),
    log:
        LAYOUT.log("tokenizer", *OF_PAIR),
    benchmark:
        LAYOUT.benchmark("tokenizer", *OF_PAIR)
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "tokenizer",
            settings=lambda w: tokenizer_settings(w).model_copy(update={"folder": None}),
            place=lambda w: tokenizer_settings(w).folder,
            content=lambda w: content_of(tokenizer_settings(w).folder),
        ),
    message:
        "fetch the tokenizer that counts the tokens of {wildcards.expert} and {wildcards.student}"
    shell:
        command(PROGRAM, "--output {output}", TO_LOG)


rule discrepancy:
    input:
        expert=lambda wildcards: responses_input(wildcards.task, wildcards.expert),
        student=lambda wildcards: responses_input(wildcards.task, wildcards.student),
        tokenizer=tokenizer_of,
    output:
        LAYOUT.discrepancy(),
    log:
        LAYOUT.log("discrepancy", *OF_PAIR),
    benchmark:
        LAYOUT.benchmark("discrepancy", *OF_PAIR)
    conda:
        CONDA
    params:
        **program(
            "discrepancy",
            expert=lambda wildcards: responses_files(wildcards.task, wildcards.expert),
            student=lambda wildcards: responses_files(wildcards.task, wildcards.student),
            expert_name=attrgetter("expert"),
            student_name=attrgetter("student"),
            keyword=STUDY.discrepancy.keywords,
            bin_width=STUDY.discrepancy.bin_width,
            resamples=STUDY.discrepancy.resamples,
            seed=STUDY.discrepancy.seed,
            keep_empty=True,
        ),
    message:
        "compare the responses of {wildcards.expert} and {wildcards.student}, {wildcards.task}"
    shell:
        command(PROGRAM, f"--tokenizer {step('{input.tokenizer}')}", "--out {output}", TO_LOG)


if pair_tables():

    rule table1:
        input:
            pair_tables(),
        output:
            LAYOUT.table("table1", "parquet"),
            report(
                LAYOUT.table("table1", "md"),
                caption="../workflow/report/table1.rst",
                category="Discrepancy",
            ),
            LAYOUT.table("table1", "tex"),
        log:
            LAYOUT.log("table1"),
        benchmark:
            LAYOUT.benchmark("table1")
        localrule: True
        conda:
            CONDA
        params:
            **program("table1"),
        message:
            "write Table 1: discrepancy against performance gap"
        shell:
            command(PROGRAM, "--tables {input} --output {output}", TO_LOG)
