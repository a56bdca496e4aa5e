"""The report in Chromium: charts draw and answer, nothing leaves the page, everybody can use it."""

import json
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
Open = Callable[..., object]


def axis_titles(page, chart: str) -> str:
    return page.locator(f'[data-chart="{chart}"] .role-axis-title').all_text_contents()


def test_every_chart_draws_and_nothing_is_asked_of_the_network(opened: Open, report: Path) -> None:
    page, console, requests = opened()
    charts = page.locator(".chart")
    # Five of accuracy, Figure 3's two rows, one of theory, two of training.
    assert charts.count() == 10
    marks = page.evaluate(
        "[...document.querySelectorAll('.chart')].map((chart) =>"
        " chart.querySelectorAll('svg .mark-symbol path, svg .mark-line path').length)"
    )
    assert all(count > 5 for count in marks), marks
    assert console == []
    assert requests == [report.as_uri()]


def test_pointing_at_a_mark_shows_its_numbers(opened: Open) -> None:
    page, console, _ = opened()
    chart = page.locator('[data-chart="figure1-0"]')
    chart.scroll_into_view_if_needed()
    tooltip = page.locator("#vg-tooltip-element")
    chart.locator(".mark-symbol.role-mark path").last.hover(force=True)
    tooltip.locator("table").wait_for(state="visible")
    text = tooltip.inner_text()
    for word in ("run", "step", "accuracy", "95 % interval", "device-seconds"):
        assert word in text
    # Seeds lie beneath, and answer where no mean covers them.
    seen = set()
    for path in chart.locator(".mark-symbol.role-mark").first.locator("path").all():
        path.hover(force=True)
        seen |= {line.split("\t")[0] for line in tooltip.inner_text().splitlines()}
    assert "seed" in " ".join(seen)
    assert console == []


def test_the_axis_switch_changes_all_curves(opened: Open) -> None:
    page, console, _ = opened()
    theory = axis_titles(page, "theorem1")
    for axis, title in (*AXES.items(), ("samples", AXES["samples"])):
        page.locator(f'input[name="axis-figure2"][value="{axis}"]').check()
        page.wait_for_function(f"document.documentElement.dataset.drawn === '{axis}'")
        for chart in ("figure1-0", "figure2-1", "training-0"):
            titles = axis_titles(page, chart)
            assert title in titles and not set(titles) & (set(AXES.values()) - {title})
        for group in ("figure1", "figure2", "training"):
            assert page.locator(f'input[name="axis-{group}"]:checked').input_value() == axis
    assert axis_titles(page, "theorem1") == theory
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
