# Input: all that a study makes. Output: one page that opens from disk, with all of it.

from online_il.config.extending import files_of


rule report_page:
    input:
        curves_outputs(),
        existing(discrepancy_outputs()),
        existing(divergence_outputs()),
        theory_outputs(),
        claims_outputs(),
        page=[path for path in sources("workflow/report/*") if not path.endswith(".rst")],
        deviations=sources("docs/paper.md"),
    output:
        report(
            LAYOUT.report,
            caption="../workflow/report/report.rst",
            category="The whole report",
        ),
    log:
        LAYOUT.log("report"),
    benchmark:
        LAYOUT.benchmark("report_page")
    localrule: True
    conda:
        CONDA
    params:
        **program(
            "report",
            config=os.path.relpath(CONFIG),
            overrides=json.dumps(OVERRIDES),
            results=str(LAYOUT.results),
            chance=json.dumps({name: chance(TASKS[name]) for name in with_figure2}),
        ),
        # A change of the file, or of one that it extends, makes the page anew.
        study=hash_of("".join(path.read_text(encoding="utf-8") for path in files_of(CONFIG))),
    message:
        "write the report, {output}"
    shell:
        command(PROGRAM, "--deviations {input.deviations:q} --output {output}", TO_LOG)
