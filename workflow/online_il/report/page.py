"""The report's page: gathers what a results folder has, and says what it lacks.

`page` renders `workflow/report/page.html.jinja` with its style and script into one file that needs
no network. Responses are untrusted text: the template escapes everything that it is given.
"""

from collections.abc import Callable
from os import cpu_count
from pathlib import Path
from typing import Any, TypeVar

import altair as alt
import vl_convert
from markupsafe import Markup

from online_il.charts.curves import AXES
from online_il.charts.style import KNOWN
from online_il.claims.board import next_in_words
from online_il.config.study import Study
from online_il.discrepancy.tables import COLUMNS, DiscrepancyTable, cells
from online_il.layout import DATABASES, Layout
from online_il.pages import rendered
from online_il.pairs.tables import DivergenceTable, Shown, shown
from online_il.program.dag import rule_edges
from online_il.provenance import file_hash, versions
from online_il.records import provenance, read_table
from online_il.report.examples import examples
from online_il.report.figures import (
    FINISHED,
    accuracy_charts,
    finished_chart,
    rows_of,
    training_charts,
)
from online_il.report.ledger import jobs, spent
from online_il.report.origin import choices, html_of, origins, own_settings
from online_il.report.rulegraph import pictures
from online_il.report.scales import scale_of
from online_il.report.verdicts import board
from online_il.text import decoded

MIXTURES = ("figure5", "figure6", "figure7")
THEORY = ("figure4", "theorem1", "theorem2", "theorem5", "horizon")

T = TypeVar("T")


def page(
    results: Path,
    study: Study,
    config: Path,
    paper: Path,
    chance: dict[str, float],
    code: str | None,
) -> str:
    """Render the page of a results folder as HTML.

    `config` is the study's file, `paper` the page of deviations from the paper (docs/paper.md),
    `chance` the accuracy of guessing on each task's forgetting benchmark.
    Raises `InputError` for a file that is there and damaged.
    """
    layout = Layout(results)
    found = [layout.database(name) for name in DATABASES]
    database = next((path for path in found if path.is_file()), None)

    def measured(read: Callable[[Path], list[T]]) -> list[T]:
        return read(database) if database else []

    charts = {
        "figure1": measured(lambda path: accuracy_charts(path, 1, chance)),
        "figure2": measured(lambda path: accuracy_charts(path, 2, chance)),
        "training": measured(training_charts),
        **{name: [c] if (c := finished_chart(results, name)) else [] for name in FINISHED},
    }
    pairs = charts["figure3"]
    charts["figure3"] = [row for chart in pairs for row in rows_of(chart)]
    rules = jobs(results)
    verdicts = board(layout.claims())
    version = alt.SCHEMA_VERSION.rpartition(".")[0]
    return rendered(
        "page.html.jinja",
        folder=results.as_posix(),
        study=study,
        scale=scale_of(study),
        database=database,
        board=verdicts,
        following=next_in_words(verdicts.facts, layout, cpu_count() or 1) if verdicts else "",
        charts=charts,
        specs={chart.name: chart.spec for group in charts.values() for chart in group},
        axes=AXES,
        figure3=pairs[0] if pairs else None,
        mixtures=[name for name in MIXTURES if charts[name]],
        missing_mixtures=[FINISHED[name] for name in MIXTURES if not charts[name]],
        theory=[name for name in THEORY if charts[name]],
        missing_theory=[FINISHED[name] for name in THEORY if not charts[name]],
        table1=_table1(layout.table("table1", "parquet")),
        table1_columns=COLUMNS,
        divergence=_divergence(layout.table("divergence", "parquet")),
        theorem1=_html_of_file(layout.table("theorem1", "md")),
        examples=measured(lambda path: examples(path, results)),
        colours={name: look.colour for name, look in KNOWN.items()},
        ledger=measured(lambda path: spent(path, results)),
        jobs=rules,
        pictures=pictures(rule_edges(results), {row.rule for row in rules}),
        jobs_of={row.rule: row for row in rules},
        origins=measured(lambda path: origins(path, results)),
        versions=versions(),
        code=code,
        config=config.as_posix(),
        config_hash=file_hash(config),
        config_text=decoded(config.read_bytes()),
        own=own_settings(config),
        choices=choices(paper, study),
        # The stub asks for a snippet, without which the bundle is whole.
        vega=Markup(vl_convert.javascript_bundle(vl_version=version)),  # type: ignore[call-arg]
    )


def _table1(path: Path) -> list[dict[str, Any]]:
    """Read Table 1 for the page: a table a pair with its note; empty where there is none."""
    if not path.is_file():
        return []
    notes = provenance(path).get("pairs", {})
    rows = read_table(path, DiscrepancyTable)
    return [
        {
            "pair": f"{expert} / {student}",
            "note": notes.get(f"{expert} / {student}", ""),
            "rows": [cells(row) for _, row in part.iterrows()],
        }
        for (expert, student), part in rows.groupby(["expert", "student"], sort=False)
    ]


def _divergence(path: Path) -> list[Shown]:
    return shown(read_table(path, DivergenceTable)) if path.is_file() else []


def _html_of_file(path: Path) -> Markup | None:
    return html_of(path.read_text(encoding="utf-8")) if path.is_file() else None
