"""The page of a study that is under way: curves so far, which ends as the report.

Drawn from the files of finished jobs and from what running ones tell. It is no job's output, so
that no rule knows of it.
"""

import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import altair as alt
import pandas as pd
import vl_convert
from markupsafe import Markup

from online_il.benchmarks import TITLES
from online_il.charts.curves import AXES, SAMPLINGS
from online_il.charts.style import styles, themed
from online_il.layout import Layout, existing_evaluations
from online_il.live.trainings import Course
from online_il.pages import rendered
from online_il.program.progress import in_words, running
from online_il.records import EvaluationRecord, read_record
from online_il.report.figures import TRACES, thinned
from online_il.store import BASE, COUNTS, KEY, from_start

SIZE = {"width": 430, "height": 220}  # Of a chart, pixels.
MEASURED = {**TRACES, "loss": "loss"}


class Drawn(NamedTuple):
    """One chart: what stands above it, and it as SVG."""

    title: str
    svg: Markup


def page(
    results: Path,
    courses: Sequence[Course],
    since: float,
    refresh: float | None,
    *,
    ended: bool = False,
) -> str:
    """Render the page of a study as it is now.

    It loads itself again after `refresh` seconds; None where nothing goes on any more, whether all
    that was asked for `ended` or something failed. It lists the jobs that have told their progress
    `since` this start began, seconds since 1970.
    """
    return rendered(
        "live.html.jinja",
        results=results.as_posix(),
        onwards=None,
        refresh=refresh,
        ended=ended,
        now=time.strftime("%H:%M:%S"),
        jobs=[(name, in_words(numbers)) for name, numbers in running(results, since)],
        accuracies=list(_accuracies(results)),
        trainings=list(_trainings(courses)),
    )


def onwards(results: Path) -> str:
    """Render what the page becomes when the study is finished: the report, which it leads to."""
    report = Layout(results).report.name
    return rendered("live.html.jinja", results=results.as_posix(), onwards=report)


def _accuracies(results: Path) -> Iterator[Drawn]:
    """Draw the accuracies of finished evaluations: a chart each task, benchmark and sampling."""
    layout = Layout(results)
    found = [existing_evaluations(layout.evaluations(*one)) for one in layout.existing_policies()]
    records = [path for of_policy, _ in found for path in of_policy]
    rows = pd.DataFrame([_evaluation(path, path.stat().st_mtime_ns) for path in records])
    if rows.empty:
        return
    rows = from_start(rows[rows["accuracy"].notna()])
    rows = rows[(rows["run"] != BASE) & rows["start"].notna()]
    for names, part in rows.groupby(["task", "benchmark", "sampling"]):
        task, benchmark, sampling = map(str, names)
        title = f"{task}, {TITLES.get(benchmark, benchmark)}, {SAMPLINGS.get(sampling, sampling)}"
        yield Drawn(title, _svg(part, "accuracy", "accuracy", checkpoints=True))


@cache
def _evaluation(path: Path, time: int) -> dict[str, Any]:
    """Read what is drawn of an evaluation; `time` is when it was written: each is read once."""
    record = read_record(path, EvaluationRecord)
    starts = record.run != BASE and record.method not in ("pretrain", "mixture")
    drawn = record.model_dump(include={*KEY, *COUNTS, "method", "expert", "accuracy"})
    return drawn | {"start": (record.start or BASE) if starts else None}


def _trainings(courses: Sequence[Course]) -> Iterator[Drawn]:
    """Draw what trainings tell: a chart each task, method and quantity."""
    groups: dict[tuple[str, str], list[pd.DataFrame]] = {}
    for course in courses:
        task, run, seed = course.policy
        rows = pd.DataFrame(course.rows).assign(run=run, seed=seed)
        groups.setdefault((task, course.method), []).append(rows)
    for (task, method), tables in groups.items():
        rows = pd.concat(tables, ignore_index=True)
        for column, title in MEASURED.items():
            if column in rows and len(measured := rows.dropna(subset=[column])):
                drawn = _svg(thinned(measured, column), column, title, checkpoints=False)
                yield Drawn(f"{task}, {method}: {title}", drawn)


def _svg(rows: pd.DataFrame, column: str, title: str, *, checkpoints: bool) -> Markup:
    """Draw a line a seed and run; of checkpoints a point each, and the mean over seeds."""
    looks = styles(set(rows["run"]))
    colours = [look.colour for look in looks.values()]
    chart = alt.Chart(rows[["run", "seed", "samples", column]]).encode(
        alt.X("samples:Q").title(AXES["samples"]).axis(format=",~f", tickCount=4, grid=False),
        alt.Color("run:N").scale(domain=list(looks), range=colours).legend(columns=3),
    )
    y = alt.Y(f"{column}:Q").title(title)
    layers = [chart.mark_line(strokeWidth=1, opacity=0.6).encode(y, detail="seed:N")]
    if checkpoints:
        mean = chart.encode(alt.Y(f"mean({column}):Q").title(title))
        layers = [chart.mark_point(size=16).encode(y), *layers, mean.mark_line(strokeWidth=2)]
    spec = themed(alt.layer(*layers).properties(**SIZE)).to_dict()
    version = alt.SCHEMA_VERSION.rpartition(".")[0]
    return Markup(vl_convert.vegalite_to_svg(spec, vl_version=version))
