"""The plan as a Markdown table and as a page of its own."""

from collections.abc import Mapping, Sequence
from typing import Any

from online_il.config.plan import Plan
from online_il.cost import memory, rules, shape
from online_il.cost.jobs import FIGURES
from online_il.cost.totals import PlannedRuns, hours_text, sentence
from online_il.markdown import markdown_table
from online_il.pages import rendered

Runs = Sequence[Mapping[str, Any]]
Totals = dict[str, dict[str, dict[str, float]]]

HEAD = list(PlannedRuns.to_schema().columns)


def figure_sentences(totals: Totals, plan: Plan) -> list[str]:
    """Say what each figure costs alone, and everything together."""
    found = totals["figure"].items()
    listed = [sentence(f"{FIGURES[name]} alone", sums, plan) for name, sums in found]
    listed.append(f"Figure 4 and the theory cost no {plan.device}-hour and no API token.")
    listed.append(sentence("Everything", totals["all"]["everything"], plan))
    for other in plan.other_gpus:
        of_it = totals["gpu"][other.gpu]
        listed.append(sentence(f"On {other.gpu}, everything", of_it, plan.on(other)))
    return listed


def cells(row: Mapping[str, Any]) -> list[str]:
    """Write a row of the plan as text, in the order of `HEAD`."""
    return [_cell(name, row[name]) for name in HEAD]


def _cell(name: str, value: Any) -> str:
    if name == "api_cost":
        return f"{value:,.2f}" if value else "–"
    if name.endswith("_hours"):
        return f"{value:,.1f}" if value else "–"
    if isinstance(value, str):
        return value or "–"
    if name == "seed":
        return "all" if value is None else str(value)
    return f"{value:,}" if value else "–"


def totals_rows(totals: Totals, plan: Plan) -> tuple[list[str], list[list[str]]]:
    """Give head and rows of the totals; M are millions of tokens, GPUs those of one job."""
    head = ["", "jobs", f"{plan.device}s", plan.hours, "M generated", "M trained", "M API", "API $"]
    head += [] if plan.gpu_price is None else [f"{plan.device} $"]
    rows = []
    for group in ("task", "seed", "all"):
        for name, sums in totals[group].items():
            row = [name, f"{sums['jobs']:,}", f"{sums['gpus']:.0f}", hours_text(sums["gpu_hours"])]
            api = sums["api_prompt"] + sums["api_response"]
            row += [f"{count / 1e6:,.0f}" for count in (sums["generated"], sums["trained"], api)]
            row.append(f"{sums['api_cost']:,.2f}")
            if plan.gpu_price is not None:
                row.append(f"{sums['gpu_hours'] * plan.gpu_price:,.0f}")
            rows.append(row)
    return head, rows


def assumptions(plan: Plan) -> list[list[str]]:
    """List every number that the plan assumes, with its meaning."""
    rows = []
    for name, field in type(plan).model_fields.items():
        value = getattr(plan, name)
        if value is None or isinstance(value, dict) or name == "other_gpus":
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append([name, shown, field.description or ""])
    for number, other in enumerate(plan.other_gpus):
        for name, field in type(other).model_fields.items():
            place = f"other_gpus.{number}.{name}"
            rows.append([place, str(getattr(other, name)), field.description or ""])
    for task, lengths in plan.tokens.items():
        for name, field in type(lengths).model_fields.items():
            value = getattr(lengths, name)
            found = value if isinstance(value, dict) else {"": value}
            for expert, tokens in found.items():
                if tokens is not None:
                    place = ".".join(part for part in ("tokens", task, name, expert) if part)
                    rows.append([place, f"{tokens:,}", field.description or ""])
    return rows


def markdown(runs: Runs, totals: Totals, plan: Plan, title: str) -> str:
    """Write the plan as Markdown: sentences, totals and the table of runs."""
    head, rows = totals_rows(totals, plan)
    parts = [
        f"# {title}",
        "\n".join(f"- {line}" for line in figure_sentences(totals, plan)),
        "\n".join(markdown_table(head, rows)),
        "\n".join(markdown_table(HEAD, [cells(run) for run in runs])),
    ]
    return "\n\n".join(parts) + "\n"


def page(runs: Runs, totals: Totals, plan: Plan, title: str) -> str:
    """Render the plan as one HTML file that needs nothing else."""
    return rendered(
        "plan.html.jinja",
        title=title,
        plan=plan,
        sentences=figure_sentences(totals, plan),
        totals=totals_rows(totals, plan),
        head=[name.replace("_", " ") for name in HEAD],
        runs=map(cells, runs),
        assumptions=assumptions(plan),
        formulas="\n\n".join((part.__doc__ or "").strip() for part in (rules, shape, memory)),
    )
