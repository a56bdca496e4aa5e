# Input: the database, or the tables of comparisons and of the theory. Output: the figures (svg, vl.json,
# self-contained html), and the summary. Steps: one program draws them all.

# By figure: what it is drawn from, its chapter in `snakemake --report`, its settings.
FIGURES = {
    "figure1": (f"{R}/measurements.duckdb", "Learning curves", {}),
    "figure2": (
        drawn_from("figure2"),
        "Learning curves",
        {"chance": {name: chance(TASKS[name]) for name in with_figure2}},
    ),
}
if STUDY.discrepancy:
    FIGURES["figure3"] = (pair_tables(), "Discrepancy", {})
if STUDY.theory:
    FIGURES["figure4"] = (
        [f"{R}/theory/gaussian/{panel}.parquet" for panel in PANELS],
        "Theory",
        {"titles": [panel["title"] for panel in PANELS.values()]},
    )
    for theorem in THEOREMS:
        FIGURES[theorem] = (f"{R}/theory/{theorem}.parquet", "Theory", {})

for drawn, (tables, chapter, settings) in FIGURES.items():

    rule:
        name:
            drawn
        input:
            tables,
        output:
            captioned(drawn, chapter),
        log:
            f"{R}/logs/{drawn}.log",
        benchmark:
            f"{R}/benchmarks/{drawn}.tsv"
        localrule: True
        conda:
            CONDA
        params:
            script=script("draw"),
            code=code("draw"),
            figure=drawn,
            settings=json.dumps(settings),
            stem=lambda wildcards, output: output[0].removesuffix(".svg"),
        message:
            f"draw {drawn}"
        shell:
            "python {params.script:q} {params.figure:q} {input} --settings {params.settings:q}"
            " --code {params.code} --output-stem {params.stem} > {log} 2>&1"


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
