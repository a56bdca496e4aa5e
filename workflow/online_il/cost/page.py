"""The plan as a Markdown table and as a page of its own."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

from online_il.config.plan import Plan
from online_il.cost import memory, rules, shape
from online_il.cost.jobs import FIGURES
from online_il.cost.totals import PlannedRuns, sentence
from online_il.markdown import markdown_table

Runs = Sequence[Mapping[str, Any]]
Totals = dict[str, dict[str, dict[str, float]]]

HEAD = list(PlannedRuns.to_schema().columns)
STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem; }
h1, h2 { line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .875rem; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid; }
td { border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
.text { text-align: left; }
pre { white-space: pre-wrap; font-size: .875rem; }
li { margin: .25rem 0; }
"""


def figure_sentences(totals: Totals, plan: Plan) -> list[str]:
    """Say what each figure costs alone, and everything together."""
    found = totals["figure"].items()
    listed = [sentence(f"{FIGURES[name]} alone", sums, plan.gpu_price) for name, sums in found]
    listed.append("Figure 4 and the theory cost no GPU-hour and no API token.")
    return [*listed, sentence("Everything", totals["all"]["everything"], plan.gpu_price)]


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of the plan as text, in the order of `HEAD`."""
    return [_cell(name, row[name]) for name in HEAD]


def _cell(name: str, value: Any) -> str:
    if name == "api_cost":
        return f"{value:,.2f}" if value else "–"
    if name.endswith("_hours"):
        return f"{value:,.1f}" if value else "–"
    if isinstance(value, str):
        return value or "–"
    if name == "seed":
        return str(value)
    return f"{value:,}" if value else "–"


def totals_rows(totals: Totals, plan: Plan) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table of totals; M are millions of tokens, GPUs those of one job."""
    head = ["", "jobs", "GPUs", "GPU-hours", "M generated", "M trained", "M API", "API $"]
    head += [] if plan.gpu_price is None else ["GPU $"]
    rows = []
    for group in ("task", "seed", "all"):
        for name, sums in totals[group].items():
            row = [name, f"{sums['jobs']:,}", f"{sums['gpus']:.0f}", f"{sums['gpu_hours']:,.0f}"]
            api = sums["api_prompt"] + sums["api_response"]
            row += [f"{count / 1e6:,.0f}" for count in (sums["generated"], sums["trained"], api)]
            row.append(f"{sums['api_cost']:,.2f}")
            if plan.gpu_price is not None:
                row.append(f"{sums['gpu_hours'] * plan.gpu_price:,.0f}")
            rows.append(row)
    return head, rows


def assumptions(plan: Plan) -> list[list[str]]:
    """Every number that the plan assumes, with its meaning."""
    rows = []
    for name, field in type(plan).model_fields.items():
        value = getattr(plan, name)
        if value is None or isinstance(value, dict):
            continue
        shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        rows.append([name, shown, field.description or ""])
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
    """The plan as Markdown: sentences, totals and the table of runs."""
    head, rows = totals_rows(totals, plan)
    parts = [
        f"# {title}",
        "\n".join(f"- {line}" for line in figure_sentences(totals, plan)),
        "\n".join(markdown_table(head, rows)),
        "\n".join(markdown_table(HEAD, [cells(run) for run in runs])),
    ]
    return "\n\n".join(parts) + "\n"


def page(runs: Runs, totals: Totals, plan: Plan, title: str) -> str:
    """The plan as one HTML file that needs nothing else."""
    head, rows = totals_rows(totals, plan)
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in figure_sentences(totals, plan))
    formulas = "\n\n".join((module.__doc__ or "").strip() for module in (rules, shape, memory))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p>Estimates from the config alone, on {html.escape(plan.gpu)}. A figure's cost counts everything it
depends on, each job once; figures share jobs, so their costs do not add up.</p>
<ul>{listed}</ul>
<h2>Totals</h2>
<p>M: millions of tokens. GPUs: those of the job that asks for the most.</p>
{_html_table(head, rows, 1)}
<h2>Runs</h2>
<p>Time limits are those of the config's <code>resources</code>, for a first attempt.</p>
{_html_table(HEAD, [cells(run) for run in runs], 3)}
<h2>Assumptions</h2>
<p>All of them stand under <code>plan</code> in the config, with their sources.</p>
{_html_table(["key", "value", "meaning"], assumptions(plan), 3)}
<h2>Formulas</h2>
<pre>{html.escape(formulas)}</pre>
</body>
</html>
"""


def _html_table(head: Sequence[str], rows: Sequence[Sequence[str]], text: int) -> str:
    """A table whose first `text` columns are words; it scrolls by itself on a narrow screen."""

    def line(tag: str, items: Sequence[str]) -> str:
        found = [
            f"<{tag}{' class=text' if place < text else ''}>{html.escape(item)}</{tag}>"
            for place, item in enumerate(items)
        ]
        return f"<tr>{''.join(found)}</tr>"

    body = "\n".join(line("td", row) for row in rows)
    first = line("th", [name.replace("_", " ") for name in head])
    return f'<div class="wide"><table><thead>{first}</thead><tbody>\n{body}\n</tbody></table></div>'
