# Input: the database, or the tables of comparisons and of the theory. Output: the figures (svg, vl.json,
# self-contained html), and the summary. Steps: one program draws them all.

# By figure: what it is drawn from, its chapter in `snakemake --report`, its settings.
FIGURES = {
    "figure1": (MEASUREMENTS, "Learning curves", {}),
    "figure2": (
        drawn_from("figure2"),
        "Learning curves",
        {"chance": {name: chance(TASKS[name]) for name in with_figure2}},
    ),
}
if discrepancy_outputs():
    FIGURES["figure3"] = (pair_tables(), "Discrepancy", {})
if STUDY.theory:
    titles = {"titles": [panel.title for panel in STUDY.theory.gaussian]}
    FIGURES["figure4"] = (theory_panels(), "Theory", titles)
    for theorem in THEOREMS:
        FIGURES[theorem] = (theory_table(LAYOUT.theory, theorem), "Theory", {})

for mixed, shown in MIXTURES.items():
    FIGURES[mixed] = (drawn_from(mixed), "Mixtures", {"shown": shown})

for drawn, (tables, chapter, settings) in FIGURES.items():

    rule:
        name:
            drawn
        input:
            tables,
        output:
            captioned(drawn, chapter),
        log:
            LAYOUT.log(drawn),
        benchmark:
            LAYOUT.benchmark(drawn)
        localrule: True
        conda:
            CONDA
        params:
            **program("draw", settings=json.dumps(settings)),
            figure=drawn,
            stem=lambda wildcards, output: output[0].removesuffix(".svg"),
        message:
            f"draw {drawn}"
        shell:
            command(PROGRAM, "--output-stem {params.stem} {params.figure} {input}", TO_LOG)


# Asked for all the same, a figure that a study has not says why.
for lacking, why in lacked(FIGURES).items():

    rule:
        name:
            lacking
        input:
            refused(lacking, why),
        localrule: True


rule summary:
    input:
        MEASUREMENTS,
    output:
        LAYOUT.summary,
    log:
        LAYOUT.log("summary"),
    benchmark:
        LAYOUT.benchmark("summary")
    localrule: True
    conda:
        CONDA
    params:
        **program("summary"),
    message:
        "write the table of final accuracies"
    shell:
        command(PROGRAM, "--database {input} --output {output}", TO_LOG)
