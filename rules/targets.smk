# What figures need, and what the optional parts of a study add to `all`.

from online_il import benchmarks

BEYOND = (*benchmarks.OUT_OF_DISTRIBUTION, *benchmarks.FORGETTING)
DATABASES = {"measurements": [n for n, t in TASKS.items() if t.runs and policies([n])]}
# Figure 2 needs only the tasks that have its benchmarks.
with_figure2 = [
    name for name in DATABASES["measurements"] if set(TASKS[name].benchmarks) & set(BEYOND)
]
if with_figure2 and with_figure2 != DATABASES["measurements"]:
    DATABASES["figure2"] = with_figure2


MEASUREMENTS = LAYOUT.database("measurements")
CLAIMS = os.path.relpath(ROOT / "config" / "claims.yaml")
# By the one name of a theorem's rule, table and figure: the key of its settings in the config.
THEOREMS = {
    "theorem1": "offline_bound",
    "theorem2": "alignment",
    "theorem5": "pessimism",
    "horizon": "horizon",
}


def claims_outputs():
    """List the claims, judged; a study without runs has none."""
    if not DATABASES["measurements"]:
        return []
    return [LAYOUT.database("results"), LAYOUT.claims("json"), LAYOUT.claims("md")]


def theory_panels():
    """List the tables of Figure 4's panels."""
    return [theory_panel(LAYOUT.theory, panel.name) for panel in STUDY.theory.gaussian]


def panel_settings(wildcards):
    """Give the instance of a panel of Figure 4, as options."""
    (panel,) = [one for one in STUDY.theory.gaussian if one.name == wildcards.panel]
    return Flags.of(panel.model_dump(exclude={"name", "title"}))


def theory_tables():
    """List the theory's tables that claims are about."""
    if STUDY.theory is None:
        return []
    return theory_panels() + [theory_table(LAYOUT.theory, name) for name in THEOREMS]


def drawn_from(figure):
    """Give the database that a figure is drawn from."""
    return LAYOUT.database(figure) if figure in DATABASES else MEASUREMENTS


def curves_outputs():
    """List Figures 1, 2 and those of mixtures, and the summary; a study without runs has none."""
    if not DATABASES["measurements"]:
        return []
    both = figure("figure1") + (figure("figure2") if with_figure2 else [])
    mixed = [file for name in MIXTURES for file in figure(name)]
    return [*both, *mixed, LAYOUT.summary]


def figure(name):
    """List the files of a figure."""
    return [LAYOUT.figure(name, kind) for kind in FIGURE_KINDS]


def captioned(name, category):
    """List the files of a figure as outputs; `snakemake --report` shows the picture and caption."""
    picture, *others = figure(name)
    text = f"../workflow/report/{name}.rst"
    return [report(picture, caption=text, category=category), *others]


def discrepancy_outputs():
    """List Figure 3 and Table 1; a study in which nothing is compared has none."""
    if STUDY.discrepancy is None or not pair_tables():
        return []
    tables = [LAYOUT.table("table1", kind) for kind in ("parquet", "md", "tex")]
    return [*figure("figure3"), *tables]


def theory_outputs():
    """List the theory's figures and tables; a study without theory has none."""
    if STUDY.theory is None:
        return []
    drawn = [file for name in ("figure4", *THEOREMS) for file in figure(name)]
    return [*drawn, LAYOUT.table("theorem1", "md")]


def chance(task):
    """Give how often guessing is right on a task's forgetting benchmark; others have four choices."""
    return 1 / (task.data.facts.choices if task.data.kind == "miniature" else 4)
