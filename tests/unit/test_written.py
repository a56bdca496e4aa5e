"""Values that YAML reads as something else than is written, in every file of YAML we read."""

from pathlib import Path

import pytest
from configs import ROOT, error, shipped
from hypothesis import given, settings
from hypothesis import strategies as st

from online_il.config.claims import load_claims
from online_il.config.reading import ConfigError, read_yaml
from online_il.config.site import SiteError, load_site
from online_il.preflight.cluster import check_slurm
from online_il.preflight.report import Report
from online_il.studies import load_study as load

MINI = shipped("mini")
CLAIMS = (ROOT / "config" / "claims.yaml").read_text()
PROFILE = (ROOT / "slurm" / "config.yaml").read_text()


def changed(text: str, old: str, new: str) -> tuple[str, int]:
    assert old in text
    return text.replace(old, new, 1), text.count("\n", 0, text.index(old)) + 1


def problems(path: Path, value: str) -> list[tuple[str, str, str]]:
    """What is wrong with a value of a file: as it is written, what it is read as, the remedy."""
    path.write_text(f"key: {value}\n")
    return [(str(one.value), one.message, one.remedy) for one in read_yaml(path, "x", "y")[2]]


# ---- each file ----


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("save_minutes: 1", "save_minutes: 1:30", "save_minutes = 1:30|90|1.5 for 1 min 30 s"),
        (
            "{mem_mb: 2000, runtime: 30}",
            "{mem_mb: 2000, runtime: 4:00:00}",
            "resources.pretrain.runtime = 4:00:00|YAML reads this as 14400|write minutes: 240",
        ),
        ("seed: 20261123", "seed: 0123", "evaluation.seed = 0123|reads this as 83|write 123"),
        ("seeds: [11, 12,", "seeds: [11, 010,", "tasks[0].seeds[1] = 010|as 8|write 10"),
        ('keywords: ["no"', "keywords: [no", 'keywords[0] = no|as false|write "no", in quotes'),
        ("scale: mini", "scale: 2026-11-25", "scale = 2026-11-25|a date|in quotes"),
        # Text that is no number to YAML either is refused by the classes; minutes are told there.
        ("runtime: 30}", "runtime: 1-12:00:00}", 'runtime = "1-12:00:00"|integer|in minutes: 2160'),
        ("runtime: 30}", 'runtime: "12:00:00"}', 'runtime = "12:00:00"|integer|in minutes: 720'),
        ("runtime: 30}", "runtime: 0o36}", 'runtime = "0o36"|integer'),
    ],
)
def test_a_study_is_refused(tmp_path, old, new, words):
    text, line = changed(MINI, old, new)
    told = [row for row in error(tmp_path, text).splitlines() if f"study.yaml:{line}: " in row]
    assert any(all(word in row for word in words.split("|")) for row in told), told


def test_an_override_is_refused(tmp_path):
    # Snakemake hands over text: it reads no times and no octals itself.
    message = error(tmp_path, MINI, {"save_minutes": "1:30"})
    assert 'command line: save_minutes = "1:30"' in message and "90 for 1 h 30 min" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("seed: ", "seed: 01", "seed = 01|reads this as"),
        ("margin: 0.05", "margin: 0:00.05", "claims[0].margin = 0:00.05|reads this as 0.05"),
        ("margin: 0.05", "margin: on", 'claims[0].margin = on|reads this as true|write "on"'),
    ],
)
def test_claims_are_refused(tmp_path, old, new, words):
    path = tmp_path / "claims.yaml"
    text, line = changed(CLAIMS, old, new + "7\n#" if new == "seed: 01" else new)
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_claims(path)
    told = [row for row in str(caught.value).splitlines() if f"{path}:{line}: " in row]
    assert any(all(word in row for word in words.split("|")) for row in told), caught.value


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "max_runtime: null",
            "max_runtime: 12:00:00",
            "site.max_runtime = 12:00:00: YAML reads this as 43200|write minutes: 720",
        ),
        ("max_runtime: null", "max_runtime: 0720", "= 0720: YAML reads this as 464|write 720"),
        ("max_runtime: null", 'max_runtime: "12:00:00"', "valid integer|in minutes: 720"),
        ("max_mem_mb: null", "max_mem_mb: 0100000", "reads this as 32768|write 100000"),
        ("account: &account null", "account: &account no", 'site.account = no|write "no", in'),
        # What Snakemake reads of the same file.
        ("runtime: 60 * attempt", "runtime: 4:00:00", "default-resources.runtime = 4:00:00|240"),
        ("latency-wait: 60", "latency-wait: 0100", "latency-wait = 0100|as 64|write 100"),
    ],
)
def test_a_profile_is_refused(tmp_path, old, new, words):
    path = tmp_path / "config.yaml"
    text, line = changed(PROFILE, old, new)
    path.write_text(text)
    with pytest.raises(SiteError) as caught:
        load_site(path)
    message = str(caught.value)
    assert f"{path}:{line}: " in message or "valid integer" in message
    assert all(word in message for word in words.split("|")), message
    # The check before a study finds the same.
    if "YAML" in message:
        report = Report()
        check_slurm(load(ROOT / "config" / "mini.yaml"), [], path, report)
        assert any(words.split("|")[0] in problem for problem in report.problems)


def test_snakemakes_own_words_are_left_to_it(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(changed(PROFILE, "keep-going: true", "keep-going: yes")[0])
    assert load_site(path).cpus_per_gpu == 8


# ---- each kind ----


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(1, 999), st.integers(0, 59), st.integers(0, 59))
def test_a_time_is_refused_with_its_minutes(tmp_path_factory, hours, minutes, seconds):
    path = tmp_path_factory.getbasetemp() / "time.yaml"
    written = f"{hours}:{minutes:02d}:{seconds:02d}"
    ((value, message, remedy),) = problems(path, written)
    assert value == written and str(3600 * hours + 60 * minutes + seconds) in message
    told = float(remedy.removeprefix("for a time write minutes: "))
    assert told == pytest.approx(60 * hours + minutes + seconds / 60)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(8, 10**9), st.sampled_from(["", "+", "-"]), st.sampled_from(["0", "00"]))
def test_an_octal_is_refused_with_its_number(tmp_path_factory, number, sign, zeros):
    path = tmp_path_factory.getbasetemp() / "octal.yaml"
    found = problems(path, f"{sign}{zeros}{number}")
    # With an 8 or a 9 in it YAML takes it for text, which is read as the number it is.
    if set(str(number)) & set("89"):
        assert found == []
    else:
        ((value, message, remedy),) = found
        assert value == f"{sign}{zeros}{number}" and f"{int(str(number), 8)}" in message
        assert remedy.startswith(f"write {'-' if sign == '-' else ''}{number} for the number")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers() | st.floats(allow_nan=False))
def test_a_number_that_is_read_as_it_is_written_is_taken(tmp_path_factory, number):
    path = tmp_path_factory.getbasetemp() / "number.yaml"
    assert problems(path, f".{number}" if number == float("inf") else str(number)) == []


@pytest.mark.parametrize(
    "value",
    [
        *["1_000", "64_000.5", ".5", "5.", "+7", "007", "0x10", "0b11", "0o17", "12e3", "1.5e+3"],
        *[".inf", "-.inf", ".nan", "true", "False", "null", "~", '"no"', "'0720'", "'12:00:00'"],
        *["no way", "12:99", "08", "a: &a 1", "[]"],
    ],
)
def test_what_anyone_reads_alike_is_taken(tmp_path, value):
    assert problems(tmp_path / "f", "\n  " + value) == []


@pytest.mark.parametrize(
    ("value", "read", "remedy"),
    [
        ("1:30:00.5", "5400.5", "90.00833333"),
        ("-1:30", "-90", "90 for 1 h 30 min, 1.5 for 1 min 30 s"),
        ("1:00:00:00", "216000", "1440"),
        ("0_720", "464", "write 720"),
        ('!!int "0720"', "464", "write 720"),
        ("yes", "true", 'write "yes"'),
        ("Off", "false", 'write "Off"'),
        ("2026-11-25", "a date", 'write "2026-11-25"'),
        ("2026-11-25 12:00:00", "a date", "in quotes"),
        ("&a 0720", "464", "write 720"),
    ],
)
def test_what_yaml_reads_otherwise_is_named(tmp_path, value, read, remedy):
    ((_, message, told),) = problems(tmp_path / "f", value)
    assert read in message and remedy in told


# ---- bytes before the text ----


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_marks_and_carriage_returns_before_and_in_the_text_are_read(tmp_path, encoding):
    for name, text, read in (
        ("study.yaml", MINI, load),
        ("claims.yaml", CLAIMS, load_claims),
        ("config.yaml", PROFILE, load_site),
    ):
        path = tmp_path / name
        path.write_bytes(text.replace("\n", "\r\n").encode(encoding))
        plain = tmp_path / f"plain-{name}"
        plain.write_text(text)
        assert read(path) == read(plain)
    bad, line = changed(MINI, "save_minutes: 1", "save_minutes: 1:30")
    assert f"study.yaml:{line}: save_minutes = 1:30" in error(tmp_path, bad.encode(encoding))


def test_a_text_cut_in_half_a_character_is_refused(tmp_path):
    assert "not UTF-16" in error(tmp_path, MINI.encode("utf-16")[:-1])
