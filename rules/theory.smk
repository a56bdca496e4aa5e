# Input: the config alone, nothing trained. Output: the theory's tables, and the slopes of Theorem 1.
# Steps: one program a theorem, with the config's instances and sweeps as its options.


rule theory_gaussian:
    output:
        theory_panel(LAYOUT.theory, "{panel}"),
    log:
        LAYOUT.log("theory_gaussian", "{panel}"),
    benchmark:
        LAYOUT.benchmark("theory_gaussian", "{panel}")
    wildcard_constraints:
        panel=any_of({panel.name for panel in STUDY.theory.gaussian}),
    conda:
        CONDA
    params:
        **program("theory_gaussian") | {"options": panel_settings},
    message:
        "project the Gaussian expert of panel {wildcards.panel}"
    shell:
        command(PROGRAM, "--out {output}", TO_LOG)


for theorem, key in THEOREMS.items():

    rule:
        name:
            f"theory_{theorem}"
        output:
            theory_table(LAYOUT.theory, theorem),
        log:
            LAYOUT.log(f"theory_{theorem}"),
        benchmark:
            LAYOUT.benchmark(f"theory_{theorem}")
        conda:
            CONDA
        params:
            **program(f"theory_{theorem}", **getattr(STUDY.theory, key).model_dump()),
        message:
            "compute {output}"
        shell:
            command(PROGRAM, "--out {output}", TO_LOG)


rule slopes:
    input:
        theory_table(LAYOUT.theory, "theorem1"),
    output:
        LAYOUT.table("theorem1", "md"),
    log:
        LAYOUT.log("slopes"),
    benchmark:
        LAYOUT.benchmark("slopes")
    localrule: True
    conda:
        CONDA
    params:
        **program("slopes"),
    message:
        "fit how fast each learner's risk falls with Theorem 1's rate"
    shell:
        command(PROGRAM, "--table {input} --output {output}", TO_LOG)
