"""The claims for reading: a table in the terminal, and Markdown."""

import re
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from online_il.claims.records import ClaimVerdict, ClaimVerdicts, read_claims
from online_il.layout import Layout
from online_il.markdown import markdown_table
from online_il.program.progress import asked_for, shown, summary_of
from online_il.statistics.looks import plan_of

LOOKS = {
    "supported": ("✔", "green"),
    "contradicted": ("✘", "bold red"),
    "undecided": ("?", "yellow"),
    "not run": ("–", "dim"),
}
"""A sign and a colour for each verdict; the word stands beside them."""
FACTOR = "factor"
"""The unit of effects that say how many times as much."""
MOST_TIMES = 100.0
"""A factor that no run of ours is apart by."""


def board_table(claims: ClaimVerdicts) -> Table:
    """Lay out a row a claim: verdict in sign, word and colour; effect, interval and margin."""
    table = Table("verdict", "claim", box=box.SIMPLE_HEAD, pad_edge=False)
    table.title, table.title_justify = count_summary(claims), "left"
    for claim in claims.claims:
        sign, colour = LOOKS[claim.verdict]
        name = claim.title if claim.task is None else f"{claim.task}: {claim.title}"
        parts = filter(None, (effect(claim), margin(claim)))
        description = Text.assemble(name, "\n", (", ".join(parts) if claim.effect else "", "dim"))
        description.rstrip()
        if claim.verdict == "undecided" or claim.kind == "conjunction":
            # An interval may lie where the claim says, and the claim be one of a family.
            for reason in re.findall(r"(?:By|Each part by) itself[^.]*\.", claim.note):
                description.append(f"\n{reason}", "dim")
        table.add_row(Text(f"{sign} {claim.verdict}", style=colour), description)
    return table


def show(results: Path, cores: int) -> None:
    """Print a finished study's claims, what its next look takes, its accuracies and its report.

    What the last start was not asked for may be older than its results: it is named, not shown.
    """
    layout = Layout(results)
    path, asked = layout.claims(), asked_for(layout)
    if path in asked:
        claims = read_claims(path)
        Console().print(board_table(claims))
        following = next_in_words(claims, layout, cores)
        print("\n".join(filter(None, [decided_in_words(claims), following])))
    if text := summary_of(results):
        print(text)
    if layout.report in asked:
        print(f"report: {layout.report}")
    others = [one.name for one in shown(layout) if one not in asked]
    if others and layout.report in asked:
        # The report is of all that this config makes.
        print(f"of an earlier config, and not in the report: {', '.join(others)}")
    elif others:
        print(
            f"not asked for, so perhaps older than the results in {results}: {', '.join(others)}; "
            "`snakemake` without a target makes all current"
        )


def verdict_counts(claims: ClaimVerdicts) -> dict[str, int]:
    """Count the claims of each verdict."""
    verdicts: list[str] = [claim.verdict for claim in claims.claims]
    return {name: verdicts.count(name) for name in LOOKS}


def count_summary(claims: ClaimVerdicts) -> str:
    """Say how many claims have each verdict, without verdicts that none has."""
    parts = [f"{count} {name}" for name, count in verdict_counts(claims).items() if count]
    return f"{len(claims.claims)} claims: {', '.join(parts)}"


def decided_in_words(claims: ClaimVerdicts) -> str:
    """Say at which planned look a study is, what each decided (no theory), how sure they are."""
    if not claims.looks:
        return ""
    plan = plan_of(tuple(claims.looks))
    reached = plan.reached(claims.blocks)
    if not reached:
        return f"{claims.blocks} blocks: nothing of runs is decided before {plan.looks[0]}."
    others = sum(
        claim.decided_at is None and claim.verdict in ("supported", "contradicted")
        for claim in claims.claims
    )
    decided = [sum(claim.decided_at == look for claim in claims.claims) for look in reached]
    each = ", ".join(f"{n} at {look}" for n, look in zip(decided, reached, strict=True))
    left = sum(claim.verdict == "undecided" for claim in claims.claims)
    theory = f"; of the theory, which has no looks: {others}" if others else ""
    more = f" (of {claims.blocks} that were run)" if claims.blocks > reached[-1] else ""
    return (
        f"Look {len(reached)} of {len(plan.looks)}, at {reached[-1]} blocks{more}: "
        f"claims decided: {each}{theory}; undecided: {left}. "
        f"Intervals are at {100 * (1 - 2 * plan.tail):.3g} % each, "
        f"{100 * claims.level:g} % for all looks at once."
    )


def next_in_words(claims: ClaimVerdicts, layout: Layout, cores: int) -> str:
    """Say how long the next planned look takes, by what the jobs of the dearest seeds took."""
    following = plan_of(tuple(claims.looks)).following(claims.blocks) if claims.looks else None
    seconds: dict[str, float] = {}
    for _, path in layout.existing_benchmarks():
        # A base that serves all seeds is none of the dearest; nor is a block that was broken off.
        if path.name.startswith("seed"):
            took = float(pd.read_csv(path, sep="\t", usecols=["s"])["s"].sum())
            seconds[path.stem] = seconds.get(path.stem, 0.0) + took
    if following is None or not claims.blocks:
        return ""
    a_block = sum(sorted(seconds.values())[-claims.blocks :]) / claims.blocks
    hours = a_block * (following - claims.blocks) / cores / 3600
    how = "make study" if claims.scale == "mini" else "workflow/scripts/study.py --config CONFIG"
    return (
        f"The look at {following} blocks takes some {hours:.1f} hours more on {cores} cores: "
        f"`{how}`."
    )


def seen(claim: ClaimVerdict) -> str:
    """Say at what distance from the margin such studies would see it; none may be possible."""
    if claim.detectable is None:
        return ""
    largest = MOST_TIMES if claim.unit == FACTOR else 2.0 if claim.kind == "interaction" else 1.0
    return "none that is possible" if claim.detectable > largest else f"{claim.detectable:.2g}"


def effect(claim: ClaimVerdict) -> str:
    """Write the effect with its interval; empty where nothing was measured."""
    if claim.effect is None:
        return ""
    words = _formatted(claim.effect, claim.unit)
    if claim.low is not None and claim.high is not None and claim.low < claim.high:
        words += f" [{_formatted(claim.low, claim.unit)}, {_formatted(claim.high, claim.unit)}]"
    return f"{words} times" if claim.unit == FACTOR else words


def _formatted(value: float, unit: str) -> str:
    """Write a factor without a sign, a difference with one and a true minus sign."""
    if unit == FACTOR:
        return f"{value:.2f}"
    form = "+.3f" if abs(value) >= 0.0005 or value == 0 else "+.0e"
    return f"{value:{form}}".replace("-", "−")


def margin(claim: ClaimVerdict) -> str:
    """Say on which side of its margin the claim holds."""
    if claim.holds == "all":
        return "all of them"
    return f"claimed {claim.holds} {'±' if claim.holds == 'within' else ''}{claim.margin:g}"


def claims_markdown(claims: ClaimVerdicts) -> str:
    """Write the claims by family, a table each, and below it what a reader must know."""
    lines = [
        "# Claims",
        "",
        *filter(None, [decided_in_words(claims)]),
        f"{count_summary(claims)}. Intervals are at {100 * claims.level:g} % for all looks and",
        "checkpoints of a curve at once; p is two-sided, of the margin's nearest end, times the",
        f"{max(1, len(claims.looks))} planned looks, and corrected within its family (Holm), but",
        "for the parts of a conjunction; detectable is the distance from the margin that 80 % of",
        "such studies would see with that correction. docs/paper.md says when a claim is",
        "supported, contradicted or undecided.",
    ]
    for family in dict.fromkeys(claim.family for claim in claims.claims):
        rows = [claim for claim in claims.claims if claim.family == family]
        lines += ["", f"## {family}", "", *markdown_table(COLUMNS, map(_cells, rows))]
        lines += ["", *(f"- `{row.id}`: {row.note}" for row in rows if row.note)]
    return "\n".join(lines) + "\n"


COLUMNS = [
    "claim",
    "verdict",
    "effect [interval]",
    "margin",
    "p (Holm)",
    "detectable",
    "seeds, prompts",
    "measured",
    "source",
]


def _cells(claim: ClaimVerdict) -> list[str]:
    sizes = [str(n) for n in (claim.n_seeds, claim.n_prompts) if n is not None]
    return [
        f"{claim.title} (`{claim.id}`)",
        claim.verdict,
        effect(claim),
        margin(claim),
        "" if claim.p_holm is None else f"{claim.p_holm:.2g}",
        seen(claim),
        ", ".join(sizes),
        f"{claim.statistic}; {claim.unit}",
        claim.source,
    ]
