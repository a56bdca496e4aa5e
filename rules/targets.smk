# What figures need, what the optional parts of a study add to `all`, options of programs.

from online_il import benchmarks

BEYOND = (*benchmarks.OUT_OF_DISTRIBUTION, *benchmarks.FORGETTING)
DATABASES = {"measurements": [n for n, t in TASKS.items() if t.runs and policies([n])]}
# Figure 2 needs only the tasks that have its benchmarks.
with_figure2 = [
    name for name in DATABASES["measurements"] if set(TASKS[name].benchmarks) & set(BEYOND)
]
if with_figure2 and with_figure2 != DATABASES["measurements"]:
    DATABASES["figure2"] = with_figure2


CLAIMS = os.path.relpath(ROOT / "config" / "claims.yaml")


def claims_outputs():
    """The paper's claims, judged; a study without runs has none."""
    if not DATABASES["measurements"]:
        return []
    return [f"{R}/results.duckdb", f"{R}/claims.json", f"{R}/claims.md"]


def theory_tables():
    """The theory's tables that claims are about."""
    if STUDY.theory is None:
        return []
    panels = [f"{R}/theory/gaussian/{panel.name}.parquet" for panel in STUDY.theory.gaussian]
    names = ("theorem1", "theorem2", "theorem5", "horizon")
    return panels + [f"{R}/theory/{name}.parquet" for name in names]


def drawn_from(figure):
    """The database that a figure is drawn from."""
    return f"{R}/{figure if figure in DATABASES else 'measurements'}.duckdb"


def curves_outputs():
    """Figures 1 and 2 and the summary; a study without runs has none."""
    if not DATABASES["measurements"]:
        return []
    both = figure("figure1") + (figure("figure2") if with_figure2 else [])
    return [*both, f"{R}/summary.txt"]


def flags(settings):
    """Settings as the options of a program; a list of lists repeats its option."""
    words = []
    for key, value in settings.items():
        option = f"--{key.replace('_', '-')}"
        values = value if isinstance(value, list) else [value]
        repeated = key == "expert_weight" or isinstance(values[0], list)
        for group in values if repeated else [values]:
            words += [option, *map(str, group if isinstance(group, list) else [group])]
    return " ".join(words)


def figure(name):
    """The files of a figure."""
    return expand(f"{R}/figures/{name}.{{kind}}", kind=["svg", "vl.json", "html"])


def captioned(name, category):
    """The files of a figure as outputs; `snakemake --report` shows the picture with its caption."""
    picture, *others = figure(name)
    text = f"../workflow/report/{name}.rst"
    return [report(picture, caption=text, category=category), *others]


def discrepancy_outputs():
    """Figure 3 and Table 1; a study without comparison has none."""
    if STUDY.discrepancy is None:
        return []
    return figure("figure3") + expand(f"{R}/tables/table1.{{kind}}", kind=["parquet", "md", "tex"])


def theory_outputs():
    """The theory's figures and tables; a study without theory has none."""
    if STUDY.theory is None:
        return []
    names = ["figure4", "theorem1", "theorem2", "theorem5", "horizon"]
    return [*(file for name in names for file in figure(name)), f"{R}/tables/theorem1.md"]
