"""Table 1 for a pair of models: the table, and its forms for reading."""

from collections.abc import Sequence

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from online_il.discrepancy.bins import crowded, cut_in_words
from online_il.discrepancy.measures import SHARE, Measure
from online_il.markdown import markdown_table
from online_il.records import Table


class DiscrepancyTable(Table):
    """One row a measure of a pair of models."""

    expert: Series[str] = pa.Field(description="Name of the first model.")
    student: Series[str] = pa.Field(description="Name of the second model.")
    measure: Series[str]
    unit: Series[str] = pa.Field(description="share, count, or length units (tokens or words).")
    estimate: Series[float]
    corrected: Series[float] = pa.Field(description="Without the bias that the bootstrap shows.")
    null_mean: Series[float] = pa.Field(description="Mean with labels swapped within prompts.")
    null_p95: Series[float]
    ci_low: Series[float] = pa.Field(
        description="95 % interval over prompts and seeds, bias-corrected."
    )
    ci_high: Series[float]
    p_value: Series[float] = pa.Field(gt=0, le=1, description="Of the permutation test.")
    above_noise: Series[bool] = pa.Field(description="p < 0.05.")
    excess: Series[float] = pa.Field(
        nullable=True, description="Bias-corrected estimate less the absolute performance gap."
    )
    excess_stderr: Series[float] = pa.Field(
        ge=0, nullable=True, description="Of the bootstrap over prompts."
    )
    excess_stderr_seeds: Series[float] = pa.Field(
        ge=0, nullable=True, description="Of the jackknife over seeds; 0 where they are not known."
    )
    above_gap: Series[pd.BooleanDtype] = pa.Field(
        nullable=True, description="Above the absolute performance gap, one-sided at 95 %."
    )
    expert_value: Series[float] = pa.Field(nullable=True, description="The expert's own value.")
    student_value: Series[float] = pa.Field(nullable=True)
    off_common: Series[float] = pa.Field(
        nullable=True,
        description="The larger model's share of responses that are not what most are: near 0 the "
        "measure cannot but be.",
    )


def rows_of(measures: Sequence[Measure], expert: str, student: str) -> pd.DataFrame:
    """Put the measures of a pair with these names into the table's columns."""
    rows = pd.DataFrame([measure._asdict() for measure in measures])
    names = {"name": "measure", "expert": "expert_value", "student": "student_value"}
    rows = rows.rename(columns=names).assign(expert=expert, student=student)
    numbers = (
        *("excess", "excess_stderr", "excess_stderr_seeds"),
        *("expert_value", "student_value", "off_common"),
    )
    return rows.astype({"above_gap": "boolean", **dict.fromkeys(numbers, float)})


def cells(row: pd.Series) -> list[str]:
    """Write a row's cells for reading, shares in per cent."""
    factor, unit = (100.0, " %") if row["unit"] == SHARE else (1.0, "")
    form = ".1f" if row["unit"] == SHARE else ".3g"

    def formatted(key: str) -> str:
        return f"{factor * row[key]:{form}}"

    above = "–" if pd.isna(row["above_gap"]) else ("yes" if row["above_gap"] else "no")
    return [
        row["measure"],
        formatted("estimate") + unit,
        f"[{formatted('ci_low')}, {formatted('ci_high')}]",
        formatted("corrected"),
        f"{formatted('null_mean')} / {formatted('null_p95')}",
        "< 0.001" if row["p_value"] < 0.001 else f"{row['p_value']:.3f}",
        "yes" if row["above_noise"] else "no",
        above,
    ]


COLUMNS = [
    "measure",
    "estimate",
    "95 % interval",
    "bias-corrected",
    "noise: mean / 95 %",
    "p",
    "above the noise",
    "above the gap",
]


def note(facts: dict[str, object]) -> str:
    """Write what a reader must know of a pair."""
    seeds = f" and {facts['n_seeds']} seeds" if facts.get("n_seeds") else ""
    warning = crowded(facts)
    return (
        f"{facts['n_prompts']} prompts; {facts['n_expert']} and {facts['n_student']} responses, "
        f"{cut_in_words(facts)}; lengths in "
        f"{str(facts['length_unit']).partition(' of ')[0]}, bins of {facts['bin_width']}; "
        f"{facts['weights']}; intervals over prompts{seeds}.{f' {warning}.' if warning else ''}"
    )


def table1_markdown(rows: pd.DataFrame, notes: dict[str, str]) -> str:
    """Write all pairs as Markdown, a table a pair; `notes` by pair (`expert / student`)."""
    lines: list[str] = []
    for (expert, student), part in rows.groupby(["expert", "student"], sort=False):
        lines += [f"## {expert} / {student}", "", notes.get(f"{expert} / {student}", ""), ""]
        lines += [*markdown_table(COLUMNS, (cells(row) for _, row in part.iterrows())), ""]
    return "\n".join(lines)


_LATEX = {char: f"\\{char}" for char in "%_&#${}"} | {
    "\\": "\\textbackslash{}",
    "^": "\\textasciicircum{}",
    "~": "\\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    "–": "--",
}
"""Symbols that mean something else to LaTeX; a keyword may hold any of them."""


def table1_latex(rows: pd.DataFrame) -> str:
    """Write all pairs as one LaTeX tabular (booktabs)."""

    def escaped(text: str) -> str:
        return "".join(_LATEX.get(char, char) for char in text)

    lines = ["\\begin{tabular}{lrrrrrll}", "\\toprule"]
    lines.append(" & ".join(map(escaped, COLUMNS)) + " \\\\")
    for (expert, student), part in rows.groupby(["expert", "student"], sort=False):
        lines.append("\\midrule")
        title = escaped(f"{expert} / {student}")
        lines.append(f"\\multicolumn{{{len(COLUMNS)}}}{{l}}{{\\textit{{{title}}}}} \\\\")
        lines += [" & ".join(map(escaped, cells(row))) + " \\\\" for _, row in part.iterrows()]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])
