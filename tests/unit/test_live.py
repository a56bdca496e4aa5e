"""The page of a study under way: it shows what there is, loads itself again, ends as the report."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from trackers_told import train, under_way

from online_il.files import write_text
from online_il.layout import Layout
from online_il.live.page import onwards, page
from online_il.live.trainings import courses
from online_il.program.follower import FINISHED, Follower

ROOT = Path(__file__).parents[2]
AGAIN = '<meta http-equiv="refresh" content="30">'


def drawn(results: Path, refresh: float | None = 30) -> str:
    return page(results, list(courses(results)), 0, refresh)


def test_the_page_has_curves_of_what_is_evaluated_and_of_what_trains(tmp_path):
    results = under_way(tmp_path / "mini")
    train(results, 3)
    text = drawn(results)
    assert AGAIN in text and "Under way" in text
    for title in (
        "countdown, in distribution, sampled from the policy itself",
        "countdown, grpo: loss",
        "countdown, sft: loss",
    ):
        assert f'aria-label="{title}"' in text
    assert "<strong>sft countdown sft-a seed1</strong> update 3/9" in text
    assert text.count("<svg") == text.count("<figure") >= 8
    assert "sft-a" in text.split('aria-label="countdown, sft: loss"')[1].split("</figure>")[0]


def test_a_study_that_has_just_begun_says_so(tmp_path):
    text = drawn(tmp_path / "mini")
    assert "No policy is evaluated yet." in text and "No training has told an update yet." in text
    assert AGAIN in text and "<svg" not in text


def test_a_page_of_what_goes_on_no_more_does_not_load_itself_again(tmp_path):
    results = under_way(tmp_path / "mini")
    train(results, 3)
    text = drawn(results, None)
    assert "Not finished" in text and "refresh" not in text and "<svg" in text
    assert "update 3/9" not in text


def test_the_finished_page_is_the_report(tmp_path):
    assert '<meta http-equiv="refresh" content="0; url=report.html">' in onwards(tmp_path)


def test_a_line_that_is_still_written_waits_for_the_next_look(tmp_path):
    results = under_way(tmp_path / "mini")
    train(results, 2)
    (_, _, path) = next(iter(Layout(results).existing_rows()))
    with path.open("a") as stream:
        stream.write('{"update": 3, "lo')
    (course,) = [one for one in courses(results) if not one.finished]
    assert [row["update"] for row in course.rows] == [1, 2]


def test_a_finished_table_takes_the_place_of_what_was_told(tmp_path):
    results = under_way(tmp_path / "mini")
    train(results, 9, run="expert")
    found = {one.policy.run: one for one in courses(results)}
    assert found["expert"].finished and found["expert"].method == "grpo"
    assert [row["update"] for row in found["expert"].rows] == [1, 2]


# ---- the program beside Snakemake ----


def pending(results: Path, *rules: str) -> None:
    path = Layout(results).pending
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({rule: {"jobs": 1} for rule in rules}))


def until(condition, seconds: float = 60) -> None:
    end = time.time() + seconds
    while not condition() and time.time() < end:
        time.sleep(0.05)
    assert condition()


def test_it_starts_only_where_something_trains_or_is_tracked(tmp_path):
    pending(tmp_path, "figure4", "claims")
    follower = Follower(tmp_path, "none")
    follower.start()
    assert follower.process is None
    follower.stop(FINISHED)
    assert not Layout(tmp_path).live.exists()


@pytest.mark.parametrize("word", [FINISHED, ""])
def test_it_draws_at_once_and_again_at_the_end(word, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    results = under_way(tmp_path / "mini")
    pending(results, "sft")
    follower = Follower(results, "none")
    follower.start()
    live = Layout(results).live
    until(live.is_file)
    assert AGAIN in live.read_text()
    Layout(results).report.write_text("the report")
    follower.stop(word)
    text = live.read_text()
    assert ("url=report.html" in text) == (word == FINISHED)
    assert AGAIN not in text and ("Not finished" in text) == (word == "")


@pytest.mark.parametrize("older_report", [False, True])
def test_a_target_of_its_own_is_finished_though_the_study_is_not(
    older_report, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    results = under_way(tmp_path / "mini")
    layout = Layout(results)
    pending(results, "sft")
    write_text(json.dumps(["figures/figure1.html"]), layout.asked)
    if older_report:
        layout.report.write_text("of an earlier start")
    follower = Follower(results, "none")
    follower.start()
    follower.stop(FINISHED)
    text = layout.live.read_text()
    assert "As far as it was asked for" in text and "What was asked for is finished." in text
    assert AGAIN not in text and "Not finished" not in text and "<svg" in text


def test_a_page_that_is_there_becomes_the_report_though_nothing_trains_any_more(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    results = under_way(tmp_path / "mini")
    layout = Layout(results)
    layout.live.write_text("As far as it was asked for")
    pending(results, "report_page")
    write_text(json.dumps(["report.html"]), layout.asked)
    follower = Follower(results, "none")
    follower.start()
    layout.report.write_text("the report")
    follower.stop(FINISHED)
    assert "url=report.html" in layout.live.read_text()


def test_it_ends_when_snakemake_is_killed(tmp_path):
    results = under_way(tmp_path / "mini")
    command = [sys.executable, ROOT / "workflow/scripts/follow.py", "--results", results]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None
    process.stdin.close()  # As the system does for one that is gone.
    assert process.wait(60) == 0
    assert "Not finished" in Layout(results).live.read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_programs_of_a_group_leaves_it_its_last_look(
    number, tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    results = under_way(tmp_path / "mini")
    pending(results, "sft")
    follower = Follower(results, "none")
    follower.start()
    until(Layout(results).live.is_file)
    assert follower.process is not None
    follower.process.send_signal(number)
    follower.stop()
    assert follower.process.returncode == 0 and "note:" not in capsys.readouterr().out
    assert "Not finished" in Layout(results).live.read_text()


def test_the_page_goes_on_though_the_tracker_fails(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    site = tmp_path / "site"
    site.mkdir()
    (site / "trackio.py").write_text("raise OSError('no disk\\nleft')\n")
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    results = under_way(tmp_path / "mini")
    pending(results, "sft")
    follower = Follower(results, "trackio")
    follower.start()
    until(Layout(results).live.is_file)
    follower.stop(FINISHED)
    assert AGAIN not in Layout(results).live.read_text(), "drawn once more at the end"
    (note,) = capsys.readouterr().out.splitlines()[1:]
    assert "trackio failed and was told no more: OSError: no disk left" in note


def test_what_goes_wrong_beside_the_study_is_a_note_at_its_end(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
    results = under_way(tmp_path / "mini")
    Layout(results).live.mkdir()  # Nothing can be written there.
    pending(results, "sft")
    follower = Follower(results, "none")
    follower.start()
    follower.stop(FINISHED)
    assert "note:" in (said := capsys.readouterr().out) and "error:" in said
