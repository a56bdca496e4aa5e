"""Write what a finished study found as one Markdown page, such as docs/results.md.

Each claim with its verdict, effect and interval, the final accuracies, and where, when and from
which commit they come. `make mini` and the others write results/<scale>/results.md; the pages in
docs are some that were kept.
"""

import datetime
import os
import platform
import subprocess
from pathlib import Path

from pydantic import Field

from online_il.claims.board import count_summary, decided_in_words, effect, margin, next_in_words
from online_il.claims.records import ClaimVerdict, read_claims
from online_il.files import write_text
from online_il.layout import Layout
from online_il.markdown import markdown_table
from online_il.program.cli import ProgramOptions, main
from online_il.records import RunRecord, read_record
from online_il.report.ledger import jobs
from online_il.report.verdicts import ANSWER

COLUMNS = ["verdict", "claim", "effect [interval]", "claimed", "in the paper"]
STUDIES = ("results", "mixture", "small", "small-gpu", "small-short", "onegpu")
PAGES = tuple(f"docs/{name}.md" for name in STUDIES)


class Options(ProgramOptions):
    results: Path = Field(description="folder of a finished study")
    output: Path = Field(description="Markdown file to write")


def row(claim: ClaimVerdict) -> list[str]:
    """Write one claim as a row of the page's table."""
    name = claim.title if claim.task is None else f"{claim.task}: {claim.title}"
    claimed = margin(claim).removeprefix("claimed ")
    return [f"**{claim.verdict}**", name, effect(claim), claimed, claim.source]


def commit(folder: Path) -> str:
    """Name the commit of a folder, and say whether files but such pages were changed since."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=7", "--exclude=*"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        status = subprocess.run(
            ["git", "-C", str(folder), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    changed = [line for line in status if not line.endswith(PAGES)]
    return f"{found}, with changes" if changed else found


def trained_by(layout: Layout) -> str:
    """List the code that trained the runs, by method: what their own records say."""
    found: dict[str, set[str]] = {}
    for path in layout.existing_runs():
        record = read_record(path, RunRecord)
        found.setdefault(record.method, set()).add(record.code_hash)
    each = [f"{' or '.join(sorted(codes))} ({method})" for method, codes in sorted(found.items())]
    return ", ".join(each) or "unknown"


def processor() -> str:
    """Name this machine's processor, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def run(options: Options) -> None:
    layout = Layout(options.results)
    claims = read_claims(layout.claims())
    # What answers the paper's question comes first.
    ordered = sorted(claims.claims, key=lambda claim: claim.family != ANSWER)
    finished = layout.claims().stat().st_mtime
    day = datetime.datetime.fromtimestamp(finished).date().isoformat()
    rules = jobs(options.results)
    hours, count = sum(rule.cpu_hours for rule in rules), sum(rule.jobs for rule in rules)
    table = layout.summary.read_text(encoding="utf-8").rstrip()
    words = decided_in_words(claims) or f"Intervals are at {100 * claims.level:g} %."
    lines = [
        f"# Results of the {claims.scale} scale",
        "",
        f"Finished {day}, judged by code {claims.code_hash}, trained by code "
        f"{trained_by(layout)}; page of commit {commit(Path(__file__).parent)}; {processor()}, "
        f"{os.cpu_count()} cores, {hours:.1f} hours of processor time in {count} jobs. "
        f"{count_summary(claims)}. {words}",
        *filter(None, [next_in_words(claims, layout, os.cpu_count() or 1)]),
        "",
        *markdown_table(COLUMNS, map(row, ordered)),
        "",
        *(f"- {claim.title}: {claim.note}" for claim in ordered if claim.note),
        "",
        "## Final accuracies, and what they took",
        "",
        "```text",
        table,
        "```",
    ]
    write_text("\n".join(lines) + "\n", options.output)


if __name__ == "__main__":
    main(run, Options, __doc__)
