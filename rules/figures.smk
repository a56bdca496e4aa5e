# Input: the database. Output: the figures (svg, vl.json, self-contained html) and the summary.


def figure(name):
    """The files of a figure."""
    return expand(f"{R}/figures/{name}.{{kind}}", kind=["svg", "vl.json", "html"])


rule figure1:
    input:
        f"{R}/results.duckdb",
    output:
        figure("figure1"),
    params:
        script=script("figure1"),
        code=code("figure1"),
        stem=f"{R}/figures/figure1",
    log:
        f"{R}/logs/figure1.log",
    benchmark:
        f"{R}/benchmarks/figure1.tsv"
    conda:
        CONDA
    message:
        "draw Figure 1: accuracy in distribution"
    shell:
        "python {params.script} --database {input} --code {params.code}"
        " --output-stem {params.stem} 2> {log}"


rule figure2:
    input:
        f"{R}/results.duckdb",
    output:
        figure("figure2"),
    params:
        script=script("figure2"),
        code=code("figure2"),
        stem=f"{R}/figures/figure2",
    log:
        f"{R}/logs/figure2.log",
    benchmark:
        f"{R}/benchmarks/figure2.tsv"
    conda:
        CONDA
    message:
        "draw Figure 2: accuracy out of distribution, and forgetting"
    shell:
        "python {params.script} --database {input} --code {params.code}"
        " --output-stem {params.stem} 2> {log}"


rule summary:
    input:
        database=f"{R}/results.duckdb",
        figures=[f"{R}/figures/{name}.svg" for name in ("figure1", "figure2")],
    output:
        f"{R}/summary.txt",
    params:
        script=script("summary"),
        code=code("summary"),
        figures=lambda wildcards, input: ",".join(input.figures),
    log:
        f"{R}/logs/summary.log",
    benchmark:
        f"{R}/benchmarks/summary.tsv"
    conda:
        CONDA
    message:
        "write the table of final accuracies"
    shell:
        "python {params.script} --database {input.database} --figures {params.figures}"
        " --code {params.code} --output {output} 2> {log}"
