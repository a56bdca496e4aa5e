"""A browser, and the report of a study that was made up, open in it without a network."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = "/usr/bin/chromium"
sys.path.append(str(ROOT / "tests" / "unit"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "ONLINE_IL_BROWSER" not in os.environ:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="`make test-browser` runs it"))


class Opened(NamedTuple):
    """A page in the browser, what its console said and what it asked the network for."""

    page: object
    console: list[str]
    requests: list[str]


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of three runs and three seeds: all figures, claims and a hostile response."""
    import duckdb
    from fake_study import fake_study
    from figures import draw_discrepancy, draw_mixtures, draw_theory
    from test_report import CLAIM, HOSTILE, NOTHING, write_claims

    from online_il.config.study import load
    from online_il.files import write_text
    from online_il.layout import Layout
    from online_il.report.page import page
    from online_il.store import build

    folder = tmp_path_factory.mktemp("report")
    results = folder / "results"
    fake_study(results)
    build(results, results / "aggregate" / "measurements.duckdb")
    with duckdb.connect(str(results / "aggregate" / "measurements.duckdb")) as connection:
        connection.execute("UPDATE samples SET text = ? WHERE run = 'expert'", [HOSTILE])
        connection.execute('UPDATE training SET reward = 0.5, entropy = 1.0 / "update"')
    verdicts = ("supported", "contradicted", "undecided")
    write_claims(
        results,
        *({**CLAIM, "id": verdict, "verdict": verdict} for verdict in verdicts),
        {**CLAIM, **NOTHING, "verdict": "not run", "note": "nobody ran it", "family": "theory"},
    )
    draw_theory(results)
    draw_discrepancy(results)
    draw_mixtures(results)
    ran = ("pretrain", "grpo", "evaluate", "aggregate")
    write_text(json.dumps(list(pairwise(ran))), Layout(results).rule_edges)
    for rule in ran:
        path = results / "benchmarks" / f"{rule}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("s\tcpu_time\tmax_rss\n60\t50\t100\n")
    config = ROOT / "config" / "mini.yaml"
    html = page(
        results, load(config), config, ROOT / "docs" / "paper.md", {"countdown": 0.25}, "abc"
    )
    (folder / "report.html").write_text(html)
    return folder / "report.html"


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


@pytest.fixture
def opened(browser, report: Path) -> Iterator[Callable[..., Opened]]:
    """Opens the report at a width and in a colour scheme, and waits until its charts are drawn."""
    contexts = []

    def open_at(width: int = 1400, scheme: str = "light") -> Opened:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        contexts.append(context)
        page = context.new_page()
        console: list[str] = []
        requests: list[str] = []
        page.on("console", lambda message: console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: console.append(str(error)))
        page.on("dialog", lambda dialog: (console.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(report.as_uri())
        page.wait_for_function("document.documentElement.dataset.drawn", timeout=60_000)
        return Opened(page, console, requests)

    yield open_at
    for context in contexts:
        context.close()
