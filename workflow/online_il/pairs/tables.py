"""The measures of all pairs: the table, and its forms for reading."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from online_il.markdown import markdown_table
from online_il.pairs.alignment import Array
from online_il.records import Table

NONE = "–"


class DivergenceTable(Table):
    """One row a measure of a student, its expert and the base, for one seed."""

    task: Series[str] = pa.Field(description="Name of the task.")
    student: Series[str] = pa.Field(description="Name of the run.")
    expert: Series[str] = pa.Field(description="Name of what it imitates.")
    seed: Series[int] = pa.Field(description="Seed of the run.")
    measure: Series[str] = pa.Field(
        description="kl_<of>_<to>; log_<over>_<under>_q<level>; <what>_<f> of Theorem 2; …"
    )
    unit: Series[str] = pa.Field(description="nats a response, reward, share, or those of f.")
    estimate: Series[float] = pa.Field(
        nullable=True, description="Infinite, or empty where nothing can be measured."
    )
    stderr: Series[float] = pa.Field(
        ge=0, nullable=True, description="Standard error, clustered by prompt; empty for none."
    )
    note: Series[str] = pa.Field(description="What a reader must know of this number, or nothing.")


class Shown(NamedTuple):
    """A table for reading."""

    title: str
    note: str
    columns: list[str]
    rows: list[list[str]]


class Pair(NamedTuple):
    """The measures of one student, all seeds."""

    task: str
    student: str
    expert: str
    rows: pd.DataFrame

    def of(self, measure: str) -> pd.DataFrame:
        """Give the rows of one measure, a row a seed."""
        return self.rows[self.rows["measure"] == measure]

    def cell(self, measure: str, form: str = ".2f") -> str:
        """Write the mean over seeds with its standard error, or in words what it is instead."""
        rows = self.of(measure)
        if rows.empty:
            return NONE
        mean, stderr = over_seeds(rows["estimate"].to_numpy(), rows["stderr"].to_numpy())
        odd = rows[~np.isfinite(rows["estimate"])]
        # A bound's note is its verdict, which has a column of its own.
        told = [] if measure.startswith("bound_") else odd["note"]
        notes = "; ".join(dict.fromkeys(note for note in told if note))
        if math.isinf(mean):
            return f"infinite ({notes})" if notes else "infinite"
        if math.isnan(mean):
            return f"{NONE} ({notes})" if notes else NONE
        return f"{mean:{form}}" + ("" if math.isnan(stderr) else f" ± {stderr:{form}}")


def shown(rows: pd.DataFrame) -> list[Shown]:
    """Put the measures of all pairs into tables for reading; means over seeds."""
    pairs = [
        Pair(str(task), str(student), str(expert), part)
        for (task, student, expert), part in rows.groupby(["task", "student", "expert"], sort=False)
    ]
    several = len({pair.task for pair in pairs}) > 1

    def table(
        title: str, note: str, columns: dict[str, Callable[[Pair], str]], of: list[Pair] = pairs
    ) -> Shown:
        named = [
            [f"{pair.task}: {pair.student}" if several else pair.student, pair.expert]
            + [cell(pair) for cell in columns.values()]
            for pair in of
        ]
        return Shown(title, note, ["student", "expert", *columns], named)

    forgotten = _with_prefix(rows, "forgotten_")
    return [
        table(
            "How far student and expert are apart",
            "KL divergences of whole responses, nats a response, mean over seeds ± its standard "
            "error; each from responses of its first policy. By ratios: the same from the "
            "responses' own log-ratios. Learnable part: what of KL(expert ‖ student) is paid on "
            "responses of the part that the student's class can represent, below 0 where the "
            "student gives them more than the expert does. Responses are cut at the longest that "
            "is sampled, so that KLs of uncut ones are no smaller.",
            {
                "KL(student ‖ expert)": _cell("kl_student_expert"),
                "by ratios": _cell("kl_student_expert_by_ratios"),
                "KL(expert ‖ student)": _cell("kl_expert_student"),
                "by ratios ": _cell("kl_expert_student_by_ratios"),
                "learnable part": _cell("kl_expert_student_learnable"),
            },
        ),
        _gaps(pairs),
        table(
            "What coverage coefficients bound",
            "Quantiles over the student's responses, nats; q1 is the largest seen, and a sup over "
            "all responses is no smaller. Log C is that of the expert's learnable part, known from "
            "its weight.",
            {
                f"log π/{other}, {level}": _cell(f"log_student_{name}_{level}")
                for name, other in (("expert", "πᵉ"), ("base", "πᵇ"))
                for level in _with_prefix(rows, f"log_student_{name}_")
            }
            | {"log C": _cell("log_coverage")},
        ),
        table(
            "Distance to the base beside forgetting",
            "KL divergences on prompts of the new task, nats a response, and the accuracy that "
            "the base had and the student has lost, as a share.",
            {
                "KL(base ‖ student)": _cell("kl_base_student"),
                "KL(student ‖ base)": _cell("kl_student_base"),
                **{f"lost on {name}": _cell(f"forgotten_{name}", ".3f") for name in forgotten},
            },
        ),
        *(
            table(
                f"Assumption 1 and Theorem 2, f = {what}",
                "f(πᵉ(y | x)) = α r + h + b(x) by least squares over responses of the student's "
                "checkpoints, the base and the best policy of the class that the expert holds; "
                f"α in {unit} a unit of reward, h (root mean square), ε and δ in {unit}; loss and "
                "bound in reward. The theorem's class is that of these policies.",
                {
                    "α": _cell(f"alpha_{f}", ".3g"),
                    "explained": _cell(f"explained_{f}"),
                    "h": _cell(f"residual_{f}", ".3g"),
                    "ε": _cell(f"epsilon_{f}", ".3g"),
                    "δ(ε)": _cell(f"delta_{f}", ".3g"),
                    "bound": _cell(f"bound_{f}", ".3g"),
                    "loss to π*": _cell(f"loss_{f}"),
                    "loss to the expert": _cell("loss_to_expert"),
                    "verdict": _verdicts(f"bound_{f}"),
                },
            )
            for f, what, unit in (
                ("log", "log", "nats"),
                ("density", "clipped density", "units of the density that counts 1"),
            )
        ),
    ]


def markdown(rows: pd.DataFrame, notes: list[str]) -> str:
    """Write the tables for reading as Markdown, what a reader must know of the pairs at the end."""
    lines: list[str] = []
    for title, note, columns, cells in shown(rows):
        lines += [f"## {title}", "", note, "", *markdown_table(columns, cells), ""]
    return "\n".join([*lines, "## Responses", "", *(f"- {note}" for note in notes), ""])


def note_of(student: str, facts: dict[str, Any]) -> str:
    """Write what a reader must know of a pair's responses."""
    seeds = facts["seeds"].values()
    total, student_cut, expert_cut, policies = (
        sum(seed[key] for seed in seeds)
        for key in ("responses", "truncated_student", "truncated_expert", "policies")
    )
    return (
        f"{student}: {total} responses in {len(seeds)} seeds, of which {student_cut} of the "
        f"student and {expert_cut} of the expert are cut off; {policies / len(seeds):g} policies "
        "stand for the class in Theorem 2."
    )


def _gaps(pairs: list[Pair]) -> Shown:
    """By expert, the smallest forward KL that one of its students reaches."""
    found: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        found.setdefault((pair.task, pair.expert), []).append(pair)
    rows = []
    for (_, expert), students in found.items():
        mean_S = {
            one.student: float(one.of("kl_expert_student")["estimate"].mean()) for one in students
        }
        least = min(students, key=lambda one: mean_S[one.student])
        realizable = (least.of("log_coverage")["estimate"] == 0).any()
        rows.append(
            [
                expert,
                least.cell("kl_expert_student"),
                least.cell("kl_expert_student_learnable"),
                least.student,
                str(len(students)),
                "0, for the expert is of the class" if realizable else "between 0 and this",
            ]
        )
    return Shown(
        "Realizability gap",
        "The smallest KL(expert ‖ student) that a student reaches, nats a response. The gap of the "
        "class is no larger, but for the estimate's noise; how far below it lies is not known.",
        ["expert", "smallest seen", "learnable part", "reached by", "of students", "gap"],
        rows,
    )


def _cell(measure: str, form: str = ".2f") -> Callable[[Pair], str]:
    return lambda pair: pair.cell(measure, form)


def _verdicts(measure: str) -> Callable[[Pair], str]:
    """Write the verdicts of the seeds in words, those of one kind once."""

    def verdicts(pair: Pair) -> str:
        notes = list(pair.of(measure)["note"])
        if len(notes) < 2:
            return "".join(notes) or NONE
        words = [note.partition(":")[0] for note in notes]
        counts = {word: words.count(word) for word in dict.fromkeys(words)}
        return ", ".join(
            f"{word} ({count} of {len(words)} seeds)" for word, count in counts.items()
        )

    return verdicts


def _with_prefix(rows: pd.DataFrame, prefix: str) -> list[str]:
    named = rows["measure"][rows["measure"].str.startswith(prefix)]
    return list(dict.fromkeys(name.removeprefix(prefix) for name in named))


def over_seeds(estimates: Array, stderrs: Array) -> tuple[float, float]:
    """Mean over seeds with its standard error, in which the seeds differ at least by their noise.

    The error is the larger one of that of the seeds' means and that of the seeds' own errors.
    """
    mean = float(estimates.mean())
    if not math.isfinite(mean):
        return mean, math.nan
    known = stderrs[np.isfinite(stderrs)]
    count = len(estimates)
    within = math.sqrt(float((known**2).mean()) / count) if len(known) else math.nan
    between = float(estimates.std(ddof=1)) / math.sqrt(count) if count > 1 else math.nan
    return mean, float(np.fmax(within, between))
