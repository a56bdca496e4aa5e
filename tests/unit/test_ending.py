"""What is shown at the end of a start: what it was asked for; what it was not is named as older."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from online_il.claims.board import show
from online_il.layout import Layout
from online_il.program.starting import _write_asked


@pytest.fixture
def layout(tmp_path, monkeypatch) -> Layout:
    """A finished study: verdicts, the table of accuracies, two figures and the report."""
    monkeypatch.chdir(tmp_path)
    found = Layout(Path("results/mini"))
    figures = [found.figure(name, "html") for name in ("figure1", "figure2")]
    for path in (found.claims(), found.summary, found.report, *figures):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("the table of accuracies\n" if path == found.summary else "{}")
    monkeypatch.setattr("online_il.claims.board.read_claims", lambda path: None)
    monkeypatch.setattr("online_il.claims.board.board_table", lambda claims: "the verdicts")
    monkeypatch.setattr("online_il.claims.board.next_in_words", lambda *rest: "")
    monkeypatch.setattr("online_il.claims.board.decided_in_words", lambda claims: "")
    return found


def ask(layout: Layout, *outputs: Path) -> None:
    jobs = [SimpleNamespace(input=[], output=[str(path)]) for path in outputs]
    _write_asked(SimpleNamespace(jobs=jobs, targetjobs=set()), layout)


def test_a_whole_study_shows_all(layout, capsys):
    # Figures of a first start are not there when it begins.
    layout.figure("figure1", "html").unlink()
    figures = [layout.figure(name, "html") for name in ("figure1", "figure2")]
    ask(layout, layout.claims(), layout.summary, layout.report, *figures)
    layout.figure("figure1", "html").touch()
    show(layout.results, 2)
    told = capsys.readouterr().out
    for words in ("the verdicts", "the table of", "figure1.html", "figure2.html", "report: "):
        assert words in told
    assert "not asked for" not in told


def test_after_one_figure_that_figure_alone_is_shown_and_the_rest_is_named_as_older(layout, capsys):
    figure, other = layout.figure("figure1", "html"), layout.figure("figure1", "svg")
    ask(layout, figure, other, layout.database("measurements"))
    assert json.loads(layout.asked.read_text()) == ["figures/figure1.html"]
    show(layout.results, 2)
    told = capsys.readouterr().out
    assert f"figure: {figure}" in told
    assert "the verdicts" not in told and "the table of" not in told and "report: " not in told
    assert "not asked for, so perhaps older than the results in results/mini: claims.json," in told
    assert all(name in told for name in ("summary.txt", "figure2.html", "report.html"))


def test_the_next_whole_start_shows_all_again(layout, capsys):
    ask(layout, layout.figure("figure1", "html"))
    ask(layout, layout.claims(), layout.summary, layout.report)
    show(layout.results, 2)
    told = capsys.readouterr().out
    assert "the verdicts" in told and f"report: {layout.report}" in told
    assert "not asked for" not in told
    assert "figure1.html, figure2.html" in told.partition("of an earlier config")[2]


def test_results_of_before_are_shown_whole(layout, capsys):
    show(layout.results, 2)
    assert "the verdicts" in capsys.readouterr().out
