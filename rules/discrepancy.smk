# Input: evaluations of two policies. Output: how far apart their responses are; Table 1.
# Steps: compare each expert with each student on the same prompts, then gather.


rule discrepancy:
    input:
        expert=lambda wildcards: responses_input(wildcards.task, wildcards.expert),
        student=lambda wildcards: responses_input(wildcards.task, wildcards.student),
        tokenizer=tokenizer_of,
    output:
        f"{R}/discrepancy/{{task}}/{{expert}}/{{student}}.parquet",
    log:
        f"{R}/logs/discrepancy/{{task}}/{{expert}}/{{student}}.log",
    benchmark:
        f"{R}/benchmarks/discrepancy/{{task}}/{{expert}}/{{student}}.tsv"
    conda:
        CONDA
    params:
        script=script("discrepancy"),
        code=code("discrepancy"),
        expert=lambda wildcards: responses_files(wildcards.task, wildcards.expert),
        student=lambda wildcards: responses_files(wildcards.task, wildcards.student),
        keywords=[f"--keyword={word}" for word in STUDY.discrepancy.keywords],
        bin_width=STUDY.discrepancy.bin_width,
        resamples=STUDY.discrepancy.resamples,
        seed=STUDY.discrepancy.seed,
    message:
        "compare the responses of {wildcards.expert} and {wildcards.student}, {wildcards.task}"
    shell:
        "python {params.script:q} --expert {params.expert} --student {params.student}"
        " --expert-name {wildcards.expert} --student-name {wildcards.student}"
        " --tokenizer {input.tokenizer}/step0 --bin-width {params.bin_width} {params.keywords:q}"
        " --resamples {params.resamples} --seed {params.seed} --keep-empty --code {params.code}"
        " --out {output} > {log} 2>&1"


rule table1:
    input:
        pair_tables(),
    output:
        f"{R}/tables/table1.parquet",
        report(
            f"{R}/tables/table1.md",
            caption="../workflow/report/table1.rst",
            category="Discrepancy",
        ),
        f"{R}/tables/table1.tex",
    log:
        f"{R}/logs/table1.log",
    benchmark:
        f"{R}/benchmarks/table1.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("table1"),
        code=code("table1"),
    message:
        "write Table 1: discrepancy against performance gap"
    shell:
        "python {params.script:q} --tables {input} --code {params.code} --output {output} > {log} 2>&1"
