# Input: all that a study makes. Output: one page that opens from disk, with all of it.

from online_il.config.extending import files_of


rule report_page:
    input:
        curves_outputs(),
        there(discrepancy_outputs()),
        theory_outputs(),
        claims_outputs(),
        page=[path for path in sources("workflow/report/*") if not path.endswith(".rst")],
        deviations=sources("docs/paper.md"),
    output:
        report(
            f"{R}/report.html",
            caption="../workflow/report/report.rst",
            category="The whole report",
        ),
    log:
        f"{R}/logs/report.log",
    benchmark:
        f"{R}/benchmarks/report_page.tsv"
    localrule: True
    conda:
        CONDA
    params:
        script=script("report"),
        code=code("report"),
        config=os.path.relpath(CONFIG),
        overrides=json.dumps(OVERRIDES),
        # A change of the file, or of one that it extends, makes the page anew.
        study=hash_of("".join(path.read_text(encoding="utf-8") for path in files_of(CONFIG))),
        chance=json.dumps({name: chance(TASKS[name]) for name in with_figure2}),
        results=lambda wildcards, output: os.path.dirname(output[0]),
    message:
        "write the report, {output}"
    shell:
        "python {params.script:q} --results {params.results} --config {params.config:q}"
        " --overrides {params.overrides:q} --deviations {input.deviations:q}"
        " --chance {params.chance:q} --code {params.code} --output {output} > {log} 2>&1"
