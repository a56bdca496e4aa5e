"""The report: hostile responses, missing files, what the page holds."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest
from fake_study import RUNS, fake_study

from online_il.config.study import load
from online_il.errors import InputError
from online_il.files import write_text
from online_il.layout import Layout
from online_il.report.figures import finished_chart, rows_of, training_charts
from online_il.report.ledger import jobs, spent
from online_il.report.page import page
from online_il.report.rulegraph import pictures
from online_il.report.verdicts import board
from online_il.store import build

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "config" / "mini.yaml"
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }} ' \" &amp;"
CLAIM = {
    "id": "one",
    "title": "SFT from a realizable expert matches it",
    "family": "figure1",
    "task": "countdown",
    "source": "Section 2.2",
    "kind": "equivalence",
    "runs": ["sft-realizable", "expert"],
    "statistic": "difference of accuracies",
    "unit": "accuracy",
    "margin": 0.05,
    "holds": "within",
    "verdict": "supported",
    "effect": 0.008,
    "low": -0.022,
    "high": 0.037,
    "p": 0.01,
    "p_holm": 0.02,
    "detectable": 0.03,
    "n_seeds": 3,
    "n_prompts": 400,
    "note": "",
}
NOTHING = dict.fromkeys(
    ["effect", "low", "high", "p", "p_holm", "detectable", "n_seeds", "n_prompts"]
)


class Reader(HTMLParser):
    """Tags with their attributes, and the text outside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.silent = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.silent = tag

    def handle_endtag(self, tag) -> None:
        if tag == self.silent:
            self.silent = ""

    def handle_data(self, data) -> None:
        if not self.silent:
            self.text += data

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def write_claims(results: Path, *claims: dict) -> None:
    facts = {"scale": "mini", "level": 0.95, "resamples": 10000, "seed": 1, "code_hash": "feed"}
    facts["versions"] = {"online_il": "0"}
    (results / "claims.json").write_text(json.dumps({**facts, "claims": list(claims)}))


def page_of(results: Path, config: Path = CONFIG) -> str:
    chance = {"countdown": 0.25}
    return page(results, load(config), config, ROOT / "docs" / "paper.md", chance, "abc")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with claims, a hostile response and a benchmark file, without any figure."""
    folder = tmp_path_factory.mktemp("report") / "results"
    fake_study(folder)
    build(folder, folder / "aggregate" / "measurements.duckdb")
    with duckdb.connect(str(folder / "aggregate" / "measurements.duckdb")) as connection:
        connection.execute("UPDATE samples SET text = ? WHERE run = 'expert'", [HOSTILE])
    write_claims(
        folder,
        CLAIM,
        {**CLAIM, **NOTHING, "verdict": "not run", "title": HOSTILE, "note": "no GPU was there"},
    )
    (folder / "benchmarks" / "grpo").mkdir(parents=True)
    for name, row in (("a", "7200\t3600\t100"), ("b", "3600\tNA\t300")):
        path = folder / "benchmarks" / "grpo" / f"{name}.tsv"
        path.write_text(f"s\tcpu_time\tmax_rss\n{row}\n")
    write_text(json.dumps([["grpo", "evaluate"]]), Layout(folder).rule_edges)
    return folder


@pytest.fixture(scope="module")
def html(results: Path) -> str:
    return page_of(results)


def test_hostile_text_stays_text(html: str) -> None:
    reader = Reader(html)
    assert html.count("<script") - html.count('"<script') >= 4
    scripts = [attributes for tag, attributes in reader.tags if tag == "script"]
    assert len(scripts) == 4  # Specifications, axes, Vega, and the page's own.
    assert not [tag for tag, attributes in reader.tags if tag == "img" or "onerror" in attributes]
    assert reader.text.count("alert(1)") >= 2 and "{{ 7 * 7 }}" in reader.text
    assert "<script>alert(1)" not in html


def test_nothing_comes_from_elsewhere(html: str) -> None:
    for tag, attributes in Reader(html).tags:
        assert not {"src", "srcset", "action", "background"} & attributes.keys(), tag
        target = attributes.get("href")
        assert target is None or target.startswith("#"), target
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)
    assert style and not re.search(r"url\(|@import", style.group(1))
    assert "default-src 'none'" in html
    assert len(html.encode()) < 8e6


def test_contents_lead_to_sections(html: str) -> None:
    tags = Reader(html).tags
    places = {attributes.get("id") for _, attributes in tags}
    targets = [a["href"].removeprefix("#") for tag, a in tags if tag == "a"]
    assert len(targets) > 5 and set(targets) <= places
    ids = [attributes["id"] for _, attributes in tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_board_says_verdicts_in_words_with_intervals(html: str) -> None:
    words = Reader(html).words
    assert "✔ supported" in words and "+0.008 [−0.022, +0.037]" in words
    assert "– not run" in words and "no GPU was there" in words


def test_each_chart_has_a_text_and_its_specification(html: str) -> None:
    charts = [a for tag, a in Reader(html).tags if "data-chart" in a]
    text = re.search(r'id="specs">(.*?)</script>', html, re.DOTALL)
    assert text
    specs = json.loads(text.group(1))
    # Countdown: in distribution, out of distribution in two samplings each, and forgetting.
    assert (
        [a["data-chart"] for a in charts]
        == list(specs)
        == [
            "figure1-0",
            "figure1-1",
            "figure2-0",
            "figure2-1",
            "figure2-2",
        ]
    )
    assert all(len(a["aria-label"] or "") > 60 and a["role"] == "img" for a in charts)
    assert all("$schema" not in spec for spec in specs.values())


def test_a_figure_of_rows_becomes_a_chart_a_row(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    row = {"hconcat": [{"data": {"name": "d1"}, "mark": "point"}]}
    spec = {
        "title": {"text": "How far", "subtitle": ["Left:", "lengths."]},
        "vconcat": [
            {**row, "title": {"text": "a and b", "subtitle": "12 prompts"}},
            {"mark": "bar", "title": {"text": "a and c"}},
        ],
        "data": {"name": "d2"},
        "datasets": {"d1": [{"x": 1}], "d2": [{"x": 2}], "d3": []},
        "config": {"background": "white", "axis": {}},
    }
    (tmp_path / "figures" / "figure3.vl.json").write_text(json.dumps(spec))
    whole = finished_chart(tmp_path, "figure3")
    assert whole and (whole.title, whole.subtitle) == ("Figure 3. How far", "Left: lengths.")
    first, second = rows_of(whole)
    assert (first.title, first.subtitle, second.title) == ("a and b", "12 prompts", "a and c")
    assert first.spec["hconcat"] == row["hconcat"] and "vconcat" not in first.spec
    assert (first.spec["datasets"], second.spec["datasets"]) == (
        {"d1": [{"x": 1}], "d2": [{"x": 2}]},
        {"d2": [{"x": 2}]},
    )
    assert "background" not in first.spec["config"]
    assert finished_chart(tmp_path, "figure4") is None


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("mini.yaml", "Made at the mini scale: a transformer of some 139,000 parameters"),
        ("smoke.yaml", "Made at the smoke scale: random models and two training steps"),
        ("paper.yaml", "Made at the paper scale: the paper's models, data and settings"),
    ],
)
def test_the_scale_is_said_even_with_nothing_there(
    config: str, sentence: str, tmp_path: Path
) -> None:
    words = Reader(page_of(tmp_path, ROOT / "config" / config)).words
    assert sentence in words
    for what in (
        "No verdicts",
        "Figure 1. Accuracy in distribution",
        "Figure 2. Out of distribution, and what is forgotten",
        "Figure 3",
        "Table 1",
        "Responses",
        "Training curves",
        "Cost of the runs",
        "The rules",
        "Hashes and revisions",
    ):
        assert f"{what} – not here" in words
    assert words.endswith("same numbers.")  # Whole to its end.


def test_settings_that_are_ours_are_listed(tmp_path: Path) -> None:
    words = Reader(page_of(tmp_path, ROOT / "config" / "paper.yaml")).words
    assert "the paper does not say how many" in words
    assert "every value of" not in words
    mine = tmp_path / "mine.yaml"
    mine.write_text(f"extends: {ROOT}/config/paper.yaml\nsave_minutes: 5  # ours: a short queue\n")
    words = Reader(page_of(tmp_path, mine)).words
    assert "a short queue" in words and "the paper does not say how many" in words
    assert "every value of" in Reader(page_of(tmp_path)).words


def test_a_study_without_comparison_and_theory_says_so(tmp_path: Path) -> None:
    text = CONFIG.read_text().replace("extends: theory.yaml", "")
    start, end = text.index("\ndiscrepancy:"), text.index("\ntasks:")
    config = tmp_path / "own.yaml"
    config.write_text((text[:start] + text[end:]).replace("scale: mini", "scale: own"))
    words = Reader(page_of(tmp_path, config)).words
    assert "its config has no `discrepancy`" in words and "its config has no `theory`" in words
    assert "Made at the own scale: a study of its own" in words


def test_a_study_of_figure2_alone_has_its_page(results: Path, tmp_path: Path) -> None:
    build(results, tmp_path / "aggregate" / "figure2.duckdb")
    html = page_of(tmp_path)
    assert 'id="chart-figure2-0"' in html
    assert "figure3.vl.json is not there" in html


@pytest.mark.parametrize(
    ("holds", "unit", "margin", "numbers", "expected"),
    [
        # Of 220 pixels a reach of 1.15 x 0.2 = 0.23 takes 110 on either side of zero.
        ("within", "accuracy", 0.05, (0.1, -0.1, 0.2), (86.1, 133.9, 157.8, 62.2, 205.7)),
        ("above", "accuracy", 0.05, (0.1, -0.1, 0.2), (133.9, 220.0, 157.8, 62.2, 205.7)),
        ("below", "accuracy", 0.05, (0.1, -0.1, 0.2), (0.0, 133.9, 157.8, 62.2, 205.7)),
        # Logarithms: a half lies as far left as two lies right.
        ("below", "factor", 2.0, (1.0, 0.25, 4.0), (0.0, 157.8, 110.0, 14.3, 205.7)),
    ],
)
def test_drawings_of_intervals_by_hand(
    holds: str, unit: str, margin: float, numbers, expected, tmp_path: Path
) -> None:
    values = dict(zip(("effect", "low", "high"), numbers, strict=True))
    write_claims(tmp_path, {**CLAIM, **values, "holds": holds, "unit": unit, "margin": margin})
    found = board(tmp_path / "claims.json")
    assert found
    ((row,),) = found.families.values()
    keys = ("left", "right", "effect", "low", "high")
    assert tuple(row.places[key] for key in keys) == pytest.approx(expected, abs=0.06)
    assert row.places["zero"] == 110


def test_damaged_claims_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "claims.json").write_text('{"claims": [{"family": 1}]}')
    with pytest.raises(InputError, match=r"claims.json: not the claims of a study .*delete it"):
        board(tmp_path / "claims.json")
    assert board(tmp_path / "none.json") is None


def test_costs_by_hand(results: Path) -> None:
    rows = {row.run: row for row in spent(results / "aggregate" / "measurements.duckdb", results)}
    # Every training table ends with 3 device-seconds and 1,280 tokens.
    assert rows["expert"].hours == pytest.approx(3 / 3600)
    assert rows["sft-realizable"].with_expert == pytest.approx(6 / 3600)
    assert rows["expert"].generated == rows["expert"].trained == 1280
    assert rows["sft-realizable"].generated is None  # Its demonstrations are not there.
    with duckdb.connect(
        str(results / "aggregate" / "measurements.duckdb"), read_only=True
    ) as connection:
        mean = "SELECT avg(accuracy) FROM evaluations WHERE benchmark='id' AND sampling='policy'"
        (last,) = connection.execute(f"{mean} AND run='expert' AND step=6").fetchone()
        (base,) = connection.execute(f"{mean} AND run='base'").fetchone()
    gained = 100 * (last - base)
    assert gained > 10
    assert rows["expert"].gained == pytest.approx(gained)
    assert rows["expert"].tokens_a_point == pytest.approx(1280 / gained)
    assert rows["base"].gained is None and set(rows) == set(RUNS)


@pytest.mark.parametrize(
    "change",
    [
        "SET expert = 'mixture'",
        "SET expert = 'solver', start = 'expert@2'",
        "SET expert = 'mixture', start = 'expert@2'",
    ],
)
def test_what_a_run_is_made_of_costs_once(results: Path, tmp_path: Path, change: str) -> None:
    database = tmp_path / "aggregate" / "measurements.duckdb"
    database.parent.mkdir(exist_ok=True)
    shutil.copy(results / "aggregate" / "measurements.duckdb", database)
    mixture = '{"parts": {"expert": 0.5, "solver": 0.5}, "fallback": "expert"}'
    with duckdb.connect(str(database)) as connection:
        connection.execute(f"UPDATE runs {change} WHERE run = 'sft-realizable'")
        connection.execute(
            "INSERT INTO runs (task, run, method, seed, settings)"
            f" SELECT task, 'mixture', 'mixture', 1, '{mixture}' FROM runs WHERE run = 'base'"
        )
    rows = {row.run: row for row in spent(database, results)}
    assert rows["sft-realizable"].with_expert == pytest.approx(6 / 3600)
    assert rows["expert"].with_expert == pytest.approx(3 / 3600)


def test_times_of_jobs_by_hand(results: Path, tmp_path: Path) -> None:
    (grpo,) = jobs(results)
    assert (grpo.rule, grpo.jobs, grpo.wall_hours, grpo.cpu_hours) == ("grpo", 2, 3.0, 1.0)
    assert grpo.max_rss_mb == 300
    assert jobs(tmp_path) == []


def test_the_page_has_a_picture_of_the_rules_that_ran(html):
    pictures = re.findall(r'<svg class="dag"[^>]*aria-label="([^"]*)"', html)
    assert pictures == ["Rules from first to last: grpo"]
    assert re.search(r"<text[^>]*>grpo</text><text[^>]*>2 jobs, 3\.0", html)


def test_the_picture_leaves_out_what_longer_paths_imply() -> None:
    edges = [("a", "b"), ("b", "c"), ("a", "c"), ("x", "y"), ("c", "all")]
    large, small = pictures(edges, {"a", "b", "c", "x", "y", "unknown"})
    assert [box.name for box in large.boxes] == ["a", "b", "c"] and len(large.paths) == 2
    heights = [box.y for box in large.boxes]
    assert heights == sorted(heights) and len(set(heights)) == 3
    assert [box.name for box in small.boxes] == ["x", "y"]
    assert pictures(edges, set()) == []


def test_the_training_of_many_runs_is_drawn(results: Path, tmp_path: Path) -> None:
    """Runs by the thousand: more rows than Altair takes by itself."""
    database = tmp_path / "many.duckdb"
    shutil.copy(results / "aggregate" / "measurements.duckdb", database)
    with duckdb.connect(str(database)) as connection:
        connection.execute(
            "CREATE TABLE many AS SELECT t.* REPLACE (t.run || '-' || i AS run, 0.5 AS reward) "
            "FROM training t, range(1000) r(i)"
        )
        connection.execute("DROP TABLE training")
        connection.execute("ALTER TABLE many RENAME TO training")
    charts = training_charts(database)
    assert charts and all(
        len(rows) > 5000 for chart in charts for rows in chart.spec["datasets"].values()
    )
