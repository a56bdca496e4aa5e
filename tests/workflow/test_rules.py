"""The picture of the rules in the report shows the rules that there are."""

import re
from pathlib import Path

import warm

ROOT = Path(__file__).parents[2]


def edges_of(config: str) -> set[str]:
    """The edges of a study's rules, as Snakemake gives them."""
    done = warm.run("-m", "snakemake", "--rulegraph", "--configfile", config, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-2000:]
    names = dict(re.findall(r'(\d+)\[label = "(\w+)', done.stdout))
    return {f"{names[a]} -> {names[b]}" for a, b in re.findall(r"(\d+) -> (\d+)", done.stdout)}


def test_the_file_of_edges_is_what_snakemake_says() -> None:
    written = set((ROOT / "workflow" / "report" / "rules.txt").read_text().splitlines())
    there = edges_of("config/smoke.yaml") | edges_of("config/paper.yaml")
    assert len(there) > 50
    assert sorted(there - written) == [], "add these lines to workflow/report/rules.txt"
    assert sorted(written - there) == [], "remove these lines from workflow/report/rules.txt"
