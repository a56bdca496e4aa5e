# Input: the theory's tables. Output: a figure each, and the slopes of Theorem 1 as a table.
# Steps: one program a figure; captions are filled in from the tables.


rule figure4:
    input:
        [f"{R}/theory/gaussian/{panel}.parquet" for panel in PANELS],
    output:
        captioned("figure4", "Theory"),
    log:
        f"{R}/logs/figure4.log",
    benchmark:
        f"{R}/benchmarks/figure4.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("figure4"),
        code=code("figure4"),
        titles=lambda wildcards: [panel["title"] for panel in PANELS.values()],
        stem=lambda wildcards, output: output[0].removesuffix(".svg"),
    message:
        "draw Figure 4: Gaussian experts and students"
    shell:
        "python {params.script:q} --tables {input} --titles {params.titles:q} --code {params.code}"
        " --output-stem {params.stem} > {log} 2>&1"


for drawn, table in THEOREMS.items():

    rule:
        name:
            drawn
        input:
            f"{R}/theory/{table}.parquet",
        output:
            captioned(drawn, "Theory"),
        log:
            f"{R}/logs/{drawn}.log",
        benchmark:
            f"{R}/benchmarks/{drawn}.tsv"
        localrule: True
        conda:
            CONDA
        params:
            script=script(drawn),
            code=code(drawn),
            stem=lambda wildcards, output: output[0].removesuffix(".svg"),
        message:
            "draw {params.stem}"
        shell:
            "python {params.script:q} --table {input} --code {params.code}"
            " --output-stem {params.stem} > {log} 2>&1"


rule slopes:
    input:
        f"{R}/theory/offline_bound.parquet",
    output:
        f"{R}/tables/theorem1.md",
    log:
        f"{R}/logs/slopes.log",
    benchmark:
        f"{R}/benchmarks/slopes.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("slopes"),
        code=code("slopes"),
    message:
        "fit how fast each learner's risk falls with Theorem 1's rate"
    shell:
        "python {params.script:q} --table {input} --code {params.code} --output {output} > {log} 2>&1"
