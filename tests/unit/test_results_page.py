"""docs/results.md: every claim is a row, those that answer the paper's question first."""

import re
import subprocess
import sys
from pathlib import Path

from test_report import CLAIM, NOTHING, write_claims

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "workflow" / "scripts" / "results.py"


def test_the_page_has_a_row_a_claim_and_says_where_it_comes_from(tmp_path: Path) -> None:
    answer = CLAIM | NOTHING | {"id": "a", "family": "abstract", "title": "Yes", "holds": "all"}
    write_claims(tmp_path, CLAIM | {"note": "by hand"}, answer | {"verdict": "undecided"})
    (tmp_path / "summary.txt").write_text("countdown: final accuracy\n")
    (tmp_path / "benchmarks" / "grpo").mkdir(parents=True)
    row = "s\tcpu_time\tmax_rss\n3600\t5400\t10\n"
    (tmp_path / "benchmarks" / "grpo" / "one.tsv").write_text(row)
    page = tmp_path / "results.md"
    command = [sys.executable, SCRIPT, "--results", tmp_path, "--output", page]
    assert subprocess.run(command, timeout=120).returncode == 0
    text = page.read_text()
    rows = [line.split(" | ")[:3] for line in text.splitlines() if line.startswith("| **")]
    assert rows == [
        ["| **undecided**", "countdown: Yes", ""],
        [
            "| **supported**",
            "countdown: SFT from a realizable expert matches it",
            "+0.008 [−0.022, +0.037]",
        ],
    ]
    assert "judged by code feed, trained by code unknown; page of commit" in text
    assert "1.5 hours of processor time in 1 jobs" in text and "1 supported, 1 undecided" in text
    assert "SFT from a realizable expert matches it: by hand" in text
    assert "countdown: final accuracy" in text


def test_no_command_writes_over_a_page_of_the_repository():
    """`git pull` would refuse to touch what a newcomer's own study wrote there."""
    lines = [one for one in (ROOT / "Makefile").read_text().splitlines() if "results.py" in one]
    assert len(lines) == 5
    assert all(re.search(r"--results (results/\S+) --output \1/results\.md$", x) for x in lines)
