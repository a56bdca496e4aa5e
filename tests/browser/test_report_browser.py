"""The report in Chromium: charts draw and answer, nothing leaves the page, everybody can use it."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

AXES = {
    "samples": "samples consumed (the paper's axis)",
    "updates": "optimizer updates",
    "device_seconds": "device-seconds of training",
}
WIDTHS = (360, 800, 1400)
SERIOUS = ("serious", "critical")
# All charts of the page, and how many panels each has.
PANELS = {
    **dict.fromkeys(["figure1-0", "figure1-1", "figure2-0", "figure2-1", "figure2-2"], 1),
    **dict.fromkeys(["figure3-0", "figure3-1", "figure4"], 4),
    "figure5": 2,
    "figure6": 1,
    "figure7": 2,
    "theorem1": 3,
    "theorem2": 3,
    "theorem5": 1,
    "horizon": 2,
    **dict.fromkeys(["training-0", "training-1"], 1),
}
# Of each chart its name, its panels with a mark, its marks (axes and legends are none), and how
# many things are wrong: layers without a mark, places that are no number.
DRAWN = """[...document.querySelectorAll('.chart')].map((chart) => {
  const groups = [...chart.querySelectorAll('svg .role-mark')];
  const panel = (group) => (group.getAttribute('class').match(/concat_[0-9]+/g) || []).join();
  const wrong = chart.innerHTML.match(/NaN|Infinity/g) || [];
  const empty = groups.filter((group) => !group.childElementCount);
  const marks = groups.reduce((sum, group) => sum + group.childElementCount, 0);
  const panels = new Set(groups.map(panel)).size;
  return [chart.dataset.chart, panels, marks, empty.length + wrong.length];
})"""
# Marks that have a tooltip, and a number in it; Figure 4 has its numbers above its panels instead.
POINT, STEP = ".mark-symbol.role-mark path", ".mark-rule.role-mark line"
CELL, LAST = ".mark-rect.role-mark path", f"{POINT} >> nth=-1"  # The first are the experts'.
TOLD = [
    *((f"figure1-{i}", POINT, "accuracy") for i in range(2)),
    *((f"figure2-{i}", POINT, "accuracy") for i in range(3)),
    *((f"figure3-{i}", POINT, "p of being alike") for i in range(2)),
    *((f"figure3-{i}", STEP, "student") for i in range(2)),
    ("figure5", POINT, "accuracy"),
    ("figure6", LAST, "coverage C"),
    ("figure7", CELL, "accuracy"),
    ("theorem1", POINT, "risk, exact"),
    ("theorem2", POINT, "worst risk"),
    ("theorem5", POINT, "its standard error"),
    ("horizon", POINT, "risk"),
    ("training-0", POINT, "reward"),
    ("training-1", POINT, "entropy"),
]
Open = Callable[..., object]


def axis_titles(page, chart: str) -> str:
    return page.locator(f'[data-chart="{chart}"] .role-axis-title').all_text_contents()


def test_every_chart_draws_and_nothing_is_asked_of_the_network(opened: Open, report: Path) -> None:
    page, console, requests = opened()
    drawn = page.evaluate(DRAWN)
    assert {name: panels for name, panels, *_ in drawn} == PANELS
    assert [chart for chart in drawn if chart[2] <= 5 or chart[3]] == []
    assert console == []
    assert requests == [report.as_uri()]
    assert report.stat().st_size < 8_000_000


def test_pointing_at_a_mark_shows_its_numbers(opened: Open) -> None:
    page, console, _ = opened()
    chart = page.locator('[data-chart="figure1-0"]')
    chart.scroll_into_view_if_needed()
    tooltip = page.locator("#vg-tooltip-element")
    chart.locator(".mark-symbol.role-mark path").last.hover(force=True)
    tooltip.locator("table").wait_for(state="visible")
    text = tooltip.inner_text()
    for word in ("run", "step", "accuracy", "95 % band", "device-seconds"):
        assert word in text
    # Seeds lie beneath, and answer where no mean covers them.
    seen = set()
    for path in chart.locator(".mark-symbol.role-mark").first.locator("path").all():
        path.hover(force=True)
        seen |= {line.split("\t")[0] for line in tooltip.inner_text().splitlines()}
    assert "seed" in " ".join(seen)
    assert console == []


def test_every_chart_tells_the_numbers_of_a_mark(opened: Open) -> None:
    page, console, _ = opened()
    answering = page.evaluate(
        """Object.keys(specs).filter((name) => JSON.stringify(specs[name]).includes('"tooltip"'))"""
    )
    assert set(answering) == {name for name, *_ in TOLD} == set(PANELS) - {"figure4"}
    tooltip = page.locator("#vg-tooltip-element")
    for name, kind, number in TOLD:
        mark = page.locator(f'[data-chart="{name}"] {kind}').first
        mark.evaluate("(mark) => mark.scrollIntoView({ block: 'center', behavior: 'instant' })")
        box = mark.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        tooltip.locator("table").wait_for(state="visible")
        keys, values = (tooltip.locator(f".{part}").all_inner_texts() for part in ("key", "value"))
        told = dict(zip((key.rstrip(":") for key in keys), values, strict=True))
        assert math.isfinite(float(told[number].rstrip("%").replace("−", "-"))), (name, told)
        assert all(told.values()), (name, told)
        page.mouse.move(0, 0)
        tooltip.wait_for(state="hidden")
    assert console == []


def test_the_axis_switch_changes_all_curves(opened: Open) -> None:
    page, console, _ = opened()
    theory = axis_titles(page, "theorem5")  # Its samples are others, of the same name.
    assert "samples N" in theory
    for axis, title in (*AXES.items(), ("samples", AXES["samples"])):
        page.locator(f'input[name="axis-figure2"][value="{axis}"]').check()
        page.wait_for_function(f"document.documentElement.dataset.drawn === '{axis}'")
        for chart in ("figure1-0", "figure2-1", "training-0"):
            titles = axis_titles(page, chart)
            assert title in titles and not set(titles) & (set(AXES.values()) - {title})
        for group in ("figure1", "figure2", "training"):
            assert page.locator(f'input[name="axis-{group}"]:checked').input_value() == axis
    assert axis_titles(page, "theorem5") == theory
    assert console == []


def test_the_switch_works_by_keyboard(opened: Open) -> None:
    page, *_ = opened()
    page.locator('input[name="axis-figure1"][value="samples"]').focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("document.documentElement.dataset.drawn === 'updates'")
    assert AXES["updates"] in axis_titles(page, "figure1-0")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_nobody_is_shut_out(
    width: int, scheme: str, opened: Open, tmp_path: Path
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page, console, _ = opened(width, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true })")
    assert page.locator(".chart svg").count() == page.locator(".chart").count()
    drawn = page.evaluate(DRAWN)
    assert {name for name, *_ in drawn} == set(PANELS)
    assert [chart for chart in drawn if chart[2] <= 5 or chart[3]] == []
    page.screenshot(path=tmp_path / f"report-{width}-{scheme}.png", full_page=True)
    found = Axe().run(page).response["violations"]
    wrong = [
        (rule["id"], [node["html"][:200] for node in rule["nodes"][:3]])
        for rule in found
        if rule["impact"] in SERIOUS
    ]
    assert not wrong, json.dumps(wrong, indent=1)
    assert console == []


def test_charts_follow_the_colour_scheme_and_prints_are_light(opened: Open) -> None:
    page, *_ = opened(scheme="dark")
    ink = (
        'getComputedStyle(document.querySelector(\'[data-chart="figure1-0"]'
        " .role-axis-title text')).fill"
    )
    dark = page.evaluate(ink)
    page.emulate_media(color_scheme="light")
    light = page.evaluate(ink)
    page.emulate_media(media="print", color_scheme="dark")
    assert light == page.evaluate(ink) == "rgb(34, 34, 34)"
    assert min(map(int, dark.removeprefix("rgb(").removesuffix(")").split(","))) > 200
    assert not page.locator("nav").is_visible()


def test_hostile_responses_are_read_and_not_run(opened: Open) -> None:
    page, console, _ = opened()
    assert page.locator(".responses .text", has_text="alert(1)").count() > 0
    assert console == [] and page.evaluate("document.querySelectorAll('main img').length") == 0
