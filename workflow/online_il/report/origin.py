"""The origin of the numbers: versions, hashes, revisions, and which settings are ours."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as parquet
from markdown_it import MarkdownIt
from markupsafe import Markup

from online_il.config.extending import files_of
from online_il.config.study import Study
from online_il.layout import Layout
from online_il.store import query
from online_il.text import decoded

OURS = "# ours"
HEADINGS = {
    "silent": "Where the paper is silent, inconsistent or wrong",
    "miniature": "What is the miniature's own",
    "english": "What is Countdown in English",
    "every": "What holds for every scale",
    "estimators": "Estimators",
}


class Origin(NamedTuple):
    """The origin of one task's numbers; a list holds more than one where runs differ."""

    task: str
    facts: dict[str, list[str]]
    weights: list[tuple[str, int, int, str]]  # Run, seed, step, SHA-256.


class Setting(NamedTuple):
    """One line of the config whose value is not the paper's."""

    line: str
    text: str
    remark: str


def origins(database: Path, results: Path) -> list[Origin]:
    """Collect each task's data, code and library versions, and the hashes of its last weights."""
    rows = query(database, "SELECT * FROM evaluations ORDER BY task, run, seed, step")
    found = []
    for task, part in rows.groupby("task"):
        facts = {
            "revision of the data": _distinct(part["data_revision"]),
            "prompts (SHA-256)": _distinct(part["prompts_hash"]),
            "code of the evaluations": _distinct(part["code_hash"]),
            "versions": [text.translate(_PLAIN) for text in _distinct(part["versions"])],
        }
        path = Layout(results).prompts(str(task))
        if path.is_file():
            sources = parquet.read_table(path, columns=["source"])["source"].unique().to_pylist()
            facts = {"source of the data": sorted(sources), **facts}
        last = part.groupby(["run", "seed"]).tail(1)
        weights = [
            (row["run"], row["seed"], row["step"], row["weights_hash"])
            for row in last.to_dict("records")
        ]
        found.append(Origin(str(task), facts, weights))
    return found


_PLAIN = str.maketrans("", "", '{}"')


def _distinct(values: Any) -> list[str]:
    return sorted({str(value) for value in values})


def own_settings(config: Path) -> list[Setting]:
    """List the lines of a config, and of what it extends, that are marked as ours."""
    found = []
    for path in files_of(config):
        for number, line in enumerate(decoded(path.read_bytes()).splitlines(), start=1):
            setting, mark, remark = line.partition(OURS)
            if mark and setting.strip():
                place = str(number) if path == config else f"{path.name}:{number}"
                found.append(Setting(place, setting.strip().removeprefix("- "), remark.strip(" :")))
    return found


def choices(paper: Path, study: Study) -> list[tuple[str, Markup]]:
    """Render the sections of docs/paper.md that hold for a study: its departures from the paper."""
    if not paper.is_file():
        return []
    text = paper.read_text(encoding="utf-8")
    kinds = {task.data.kind for task in study.tasks}
    wanted = [key for key in HEADINGS if key in kinds or key not in ("miniature", "english")]
    sections = [(HEADINGS[key], _section(text, HEADINGS[key])) for key in wanted]
    return [(heading, html_of(section)) for heading, section in sections if section]


def _section(text: str, heading: str) -> str:
    match = re.search(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    return match.group(1).strip() if match else ""


def html_of(markdown: str) -> Markup:
    """Render Markdown as HTML; HTML in it is shown, not obeyed."""
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    scroll = '<div class="scroll" tabindex="0" role="group" aria-label="table"><table>'
    return Markup(rendered.replace("<table>", scroll).replace("</table>", "</table></div>"))
