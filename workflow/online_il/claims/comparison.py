"""Two studies side by side: accuracies with the interval of their difference, claims, settings."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from online_il.claims.drafts import NOT_RUN
from online_il.claims.measured import Measurements, answer_of
from online_il.claims.records import read_claims
from online_il.errors import InputError
from online_il.layout import DATABASES, Layout
from online_il.statistics.effects import independent_effect

NAMES = DATABASES[:2]
KEY = ["task", "benchmark", "run"]
PAIRED = " = "
"""Between the names of two runs that are set beside each other."""


class Section(NamedTuple):
    """One table of the comparison; without rows it says `empty`."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    empty: str


class StudyResults(NamedTuple):
    """A results folder and its database."""

    folder: Path
    database: Path


def study(folder: Path, like: str = "") -> StudyResults:
    """Find a study's results: the folder itself, or in it the study `like` or the only one."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; name a study's results, such as results/mini")
    places = [Layout(place) for place in sorted(folder.iterdir()) if place.is_dir()]
    inside = [one.results for one in places if any(one.database(n).is_file() for n in NAMES)]
    alike = [place for place in inside if place.name == like]
    for place in (folder, *alike, *(inside if len(inside) == 1 else [])):
        for name in NAMES:
            if (database := Layout(place).database(name)).is_file():
                return StudyResults(place, database)
    if inside:
        found = ", ".join(place.name for place in inside)
        raise InputError(f"{folder}: several studies in it ({found}); name one of them")
    name = Layout(folder).database(NAMES[0]).name
    raise InputError(f"{folder}: no {name} in it; run the study first, or name another folder")


def compare(
    one: StudyResults, other: StudyResults, pairs: Sequence[tuple[str, str]] = ()
) -> list[Section]:
    """Compare two studies by accuracies, claims, settings and versions.

    `pairs` are runs of different names that are set beside each other, the first study's first.
    Raises `InputError` for a name that its study has not.
    """
    last = [answer_of(each.database, "last") for each in (one, other)]
    for side, (each, rows) in enumerate(zip((one, other), last, strict=True)):
        for pair in pairs:
            _check_run(pair[side], each, set(rows["run"]))
    named = [PAIRED.join(pair) for pair in pairs]
    renamed = [
        {pair[side]: name for pair, name in zip(pairs, named, strict=True)} for side in (0, 1)
    ]
    shown = [_with_pairs(rows, names) for rows, names in zip(last, renamed, strict=True)]
    return [
        _accuracies(one, other, *shown),
        _only_in_one(last[0], last[1], renamed),
        _claims(one, other),
        _settings(one, other, renamed),
        _circumstances(*last),
    ]


def _check_run(run: str, study: StudyResults, known: set[str]) -> None:
    if run not in known:
        raise InputError(
            f"{study.folder}: it has no run {run}; there are: {', '.join(sorted(known))}"
        )


def _with_pairs(rows: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Let the runs of pairs answer to the pair's name; what both have by one name is kept so."""
    paired = rows[rows["run"].isin(names.keys())]
    return pd.concat([rows, paired.assign(run=paired["run"].map(names))], ignore_index=True)


# ---- accuracies ----


def _accuracies(
    one: StudyResults, other: StudyResults, last: pd.DataFrame, others: pd.DataFrame
) -> Section:
    stores = Measurements(one.database), Measurements(other.database)
    both = last[KEY].drop_duplicates().merge(others[KEY].drop_duplicates())
    rows = []
    for task, benchmark, run in both.itertuples(index=False):
        names = (run.split(PAIRED)[0], run.split(PAIRED)[-1])
        sides = [
            store.runs(task, benchmark)[name] for store, name in zip(stores, names, strict=True)
        ]
        one_S_P, other_S_P = tables = [side.accuracy_S_K_P[:, -1] for side in sides]
        hashes = [
            set(rows.loc[(rows[KEY] == (task, benchmark, run)).all(axis=1), "prompts_hash"])
            for rows in (last, others)
        ]
        same = hashes[0] == hashes[1] and tables[0].shape[1] == tables[1].shape[1]
        responses = min(side.responses(last=True) for side in sides)
        effect = independent_effect(one_S_P, other_S_P, responses, paired=same)
        low, high = (min(max(bound, -1.0), 1.0) for bound in effect.interval())
        rows.append(
            [
                f"{task}, {benchmark}: {run}",
                *(f"{table.mean():.3f}" for table in tables),
                f"{effect.value:+.3f} [{low:+.3f}, {high:+.3f}]",
                "" if low <= 0 <= high else "differs",
                "same" if same else "other",
                " / ".join(str(len(side.seeds)) for side in sides),
            ]
        )
    columns = ["evaluation", "A", "B", "B − A [95 %]", "", "prompts", "seeds"]
    title = "Final accuracies, the policy's own sampling; paired where the prompts are the same"
    return Section(title, columns, rows, "no evaluation that both have")


def _only_in_one(
    last: pd.DataFrame, others: pd.DataFrame, paired: Sequence[dict[str, str]]
) -> Section:
    merged = (
        last[KEY]
        .drop_duplicates()
        .merge(others[KEY].drop_duplicates(), how="outer", indicator=True)
    )
    unpaired = merged[merged["_merge"] != "both"].sort_values(["_merge", *KEY])
    rows = [
        [*row[:3], "A" if row[3] == "left_only" else "B"]
        for row in unpaired.itertuples(index=False)
        if row[2] not in paired[row[3] != "left_only"]
    ]
    return Section("Measured in one alone", ["task", "benchmark", "run", "in"], rows, "nothing")


# ---- claims ----


def _claims(one: StudyResults, other: StudyResults) -> Section:
    title, columns = "Claims", ["claim", "A", "B", ""]
    files = [Layout(each.folder).claims() for each in (one, other)]
    if missing := [str(file) for file in files if not file.is_file()]:
        return Section(title, columns, [], f"not compared: no {' and no '.join(missing)}")
    sides = [{claim.id: claim for claim in read_claims(file).claims} for file in files]
    rows, neither = [], 0
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        verdicts = [side[name].verdict if name in side else "–" for side in sides]
        if {*verdicts} <= {NOT_RUN, "–"}:
            neither += 1
            continue
        rows.append([name, *verdicts, "" if verdicts[0] == verdicts[1] else "changed"])
    title += f" ({neither} more have their runs in neither)" if neither else ""
    return Section(title, columns, rows, "none")


# ---- settings and versions ----


def _settings(one: StudyResults, other: StudyResults, renamed: Sequence[dict[str, str]]) -> Section:
    """List the settings of runs that both have, where they differ."""
    asked = [answer_of(each.database, "settings") for each in (one, other)]
    sides = [
        _settings_by_run(_with_pairs(rows, names))
        for rows, names in zip(asked, renamed, strict=True)
    ]
    rows = []
    for key in sorted(sides[0].keys() & sides[1].keys()):
        for name, first, second in _different(sides[0][key], sides[1][key]):
            rows.append([*key, name, first, second])
    columns = ["task", "run", "setting", "A", "B"]
    return Section("Settings that differ", columns, rows, "none")


def _settings_by_run(rows: pd.DataFrame) -> dict[tuple[str, str], dict[str, Any]]:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for (task, run), part in rows.groupby(["task", "run"]):
        first = part.iloc[0]
        expert = None if pd.isna(first["expert"]) else first["expert"]
        found[str(task), str(run)] = {
            "method": first["method"],
            "expert": expert,
            "seeds": part["seed"].tolist(),
            **json.loads(first["settings"]),
        }
    return found


def _circumstances(last: pd.DataFrame, others: pd.DataFrame) -> Section:
    """List differences of versions and of the sampling of responses."""
    rows = []
    for what in ("versions", "sampling_settings"):
        one, other = (_united(part[what]) for part in (last, others))
        rows += [[what.replace("_", " "), *row] for row in _different(one, other)]
    for what in ("code_hash", "n_prompts", "samples_per_prompt"):
        shown = [", ".join(sorted(map(str, part[what].unique()))) for part in (last, others)]
        if shown[0] != shown[1]:
            rows.append(["evaluation", what, *shown])
    return Section("Versions and sampling that differ", ["", "what", "A", "B"], rows, "none")


def _united(texts: "pd.Series[str]") -> dict[str, Any]:
    """Unite the keys of several JSON objects, each with all values that it has."""
    values: dict[str, set[str]] = {}
    for text in texts.unique():
        for key, value in json.loads(text).items():
            values.setdefault(key, set()).add(json.dumps(value))
    return {key: ", ".join(sorted(found)) for key, found in values.items()}


def _different(one: Any, other: Any, at: str = "") -> Iterator[list[str]]:
    """List the keys at which two nested objects differ, with both values."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            yield from _different(one.get(key), other.get(key), f"{at}.{key}" if at else key)
    elif one != other:
        yield [
            at,
            *(value if isinstance(value, str) else json.dumps(value) for value in (one, other)),
        ]
