# Input: the database. Output: the figures (svg, vl.json, self-contained html) and the summary.


rule figure1:
    input:
        f"{R}/measurements.duckdb",
    output:
        captioned("figure1", "Learning curves"),
    log:
        f"{R}/logs/figure1.log",
    benchmark:
        f"{R}/benchmarks/figure1.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("figure1"),
        code=code("figure1"),
        stem=lambda wildcards, output: output[0].removesuffix(".svg"),
    message:
        "draw Figure 1: accuracy in distribution"
    shell:
        "python {params.script:q} --database {input} --code {params.code}"
        " --output-stem {params.stem} > {log} 2>&1"


rule figure2:
    input:
        drawn_from("figure2"),
    output:
        captioned("figure2", "Learning curves"),
    log:
        f"{R}/logs/figure2.log",
    benchmark:
        f"{R}/benchmarks/figure2.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("figure2"),
        code=code("figure2"),
        chance=json.dumps({name: chance(TASKS[name]) for name in with_figure2}),
        stem=lambda wildcards, output: output[0].removesuffix(".svg"),
    message:
        "draw Figure 2: accuracy out of distribution, and forgetting"
    shell:
        "python {params.script:q} --database {input} --code {params.code}"
        " --chance {params.chance:q} --output-stem {params.stem} > {log} 2>&1"


rule summary:
    input:
        f"{R}/measurements.duckdb",
    output:
        f"{R}/summary.txt",
    log:
        f"{R}/logs/summary.log",
    benchmark:
        f"{R}/benchmarks/summary.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("summary"),
        code=code("summary"),
    message:
        "write the table of final accuracies"
    shell:
        "python {params.script:q} --database {input} --code {params.code}"
        " --output {output} > {log} 2>&1"
