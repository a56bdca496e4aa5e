# Input: the config alone, nothing trained. Output: the theory's tables, and the slopes of Theorem 1.
# Steps: one program a theorem, with the config's instances and sweeps as its options.

THEORY = STUDY.theory.model_dump(exclude_none=True)
PANELS = {panel["name"]: panel for panel in THEORY.pop("gaussian")}
# The key of the config that holds each theorem's settings.
THEOREMS = {
    "theorem1": "offline_bound",
    "theorem2": "alignment",
    "theorem5": "pessimism",
    "horizon": "horizon",
}


rule theory_gaussian:
    output:
        f"{R}/theory/gaussian/{{panel}}.parquet",
    log:
        f"{R}/logs/theory/gaussian/{{panel}}.log",
    benchmark:
        f"{R}/benchmarks/theory_gaussian/{{panel}}.tsv"
    wildcard_constraints:
        panel="|".join(PANELS),
    conda:
        CONDA
    params:
        script=script("theory_gaussian"),
        code=code("theory_gaussian"),
        flags=lambda wildcards: flags(
            {k: v for k, v in PANELS[wildcards.panel].items() if k not in ("name", "title")}
        ),
    message:
        "project the Gaussian expert of panel {wildcards.panel}"
    shell:
        "python {params.script:q} {params.flags} --code {params.code} --out {output} > {log} 2>&1"


for theorem, key in THEOREMS.items():

    rule:
        name:
            f"theory_{theorem}"
        output:
            f"{R}/theory/{theorem}.parquet",
        log:
            f"{R}/logs/theory/{theorem}.log",
        benchmark:
            f"{R}/benchmarks/theory_{theorem}.tsv"
        conda:
            CONDA
        params:
            script=script(f"theory_{theorem}"),
            code=code(f"theory_{theorem}"),
            flags=flags(THEORY[key]),
        message:
            "compute {output}"
        shell:
            "python {params.script:q} {params.flags} --code {params.code} --out {output} > {log} 2>&1"


rule slopes:
    input:
        f"{R}/theory/theorem1.parquet",
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
