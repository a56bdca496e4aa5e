"""The jobs of a study, as Snakemake's own DAG has them.

The plan, the checks before a study, the progress display and the report's picture of the rules all
read the DAG here; none of them knows what a rule needs.
"""

import contextlib
import io
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import networkx as nx

from online_il.errors import InputError
from online_il.files import write_text
from online_il.layout import Layout
from online_il.methods import METHODS

SNAKEFILE = Path(__file__).parents[3] / "Snakefile"
REPORT = "report_page"
"""The rule that writes the report."""
BENCHMARKS = {f"aggregate_figure{number}": "aggregate" for number in (2, 5, 6, 7)}
"""Rules whose benchmark files lie under another name than their own."""
TRAINING = {"pretrain", "finetune", *METHODS}
"""The rules whose jobs train a policy."""


class Job(NamedTuple):
    """A job of the DAG: its rule, and the policy that it works for where it works for one."""

    rule: str
    task: str = ""
    run: str = ""
    """Name of a run or of an expert; `base` for what makes the base of a task."""
    seed: int | None = None
    others: tuple[tuple[str, str], ...] = ()
    """All other wildcards, by name."""


def graph_of(dag: Any) -> nx.DiGraph:
    """Turn Snakemake's DAG into a graph of `Job`s, an edge from each job to those that need it.

    Each has `pending`, whether it is still to be done, `minutes`, its time limit or None,
    `threads`, the cores that it takes, and `outputs`, the files that it makes, its
    benchmark among them.
    """
    jobs = {job: job_of(job) for job in dag.jobs}
    graph = nx.DiGraph()
    for job, node in jobs.items():
        minutes = job.resources.get("runtime")
        outputs = [str(file) for file in (*job.output, job.benchmark) if file]
        made = {"minutes": minutes, "threads": job.threads, "outputs": outputs}
        graph.add_node(node, pending=dag.needrun(job), **made)
        graph.add_edges_from((jobs[needed], node) for needed in dag.dependencies[job])
    return graph


def graph_of_study(config: Path, overrides: Mapping[str, Any]) -> nx.DiGraph:
    """Give the graph of everything that a study makes; starts Snakemake, which makes nothing.

    `overrides` are laid over the config file. Raises `InputError` for what Snakemake refuses.
    """
    from snakemake.api import SnakemakeApi  # type: ignore[import-untyped]
    from snakemake.exceptions import WorkflowError  # type: ignore[import-untyped]
    from snakemake.settings.types import (  # type: ignore[import-untyped]
        ConfigSettings,
        OutputSettings,
        Quietness,
        ResourceSettings,
    )

    quiet = OutputSettings(quiet={Quietness.ALL}, log_level_override=logging.WARNING)
    settings = ConfigSettings(configfiles=[config.absolute()], config=dict(overrides))
    try:
        with contextlib.redirect_stdout(io.StringIO()), SnakemakeApi(quiet) as snakemake:
            workflow = snakemake.workflow(ResourceSettings(), settings, snakefile=SNAKEFILE)
            workflow.dag().printd3dag()  # The cheapest call that builds the DAG.
            return graph_of(workflow._workflow.dag)
    except WorkflowError as error:
        raise InputError(str(error)) from None


def policies_in_words(jobs: Iterable[Any]) -> str:
    """Name the policies that some of Snakemake's jobs are about, a run with its seeds."""
    seeds: dict[str, list[int]] = defaultdict(list)
    for job in jobs:
        known = job_of(job)
        seeds[f"{known.task} {known.run}"].append(known.seed or 0)
    return ", ".join(
        f"{name} (seed {', '.join(map(str, sorted(of)))})" for name, of in seeds.items()
    )


def job_of(job: Any) -> Job:
    """Name a job of Snakemake's."""
    wildcards = {name: str(value) for name, value in job.wildcards_dict.items()}
    seed = wildcards.pop("seed", None)
    # A rule that makes a base has no wildcard for the run.
    run = wildcards.pop("run", "base" if seed is not None else "")
    task = wildcards.pop("task", "")
    return Job(
        job.rule.name,
        task,
        run,
        None if seed is None else int(seed),
        tuple(sorted(wildcards.items())),
    )


def pending_jobs(graph: nx.DiGraph) -> list[Job]:
    """List the jobs that are still to be done."""
    return [job for job, pending in graph.nodes(data="pending") if pending]


def write_start(graph: nx.DiGraph, results: Path, expected: Mapping[str, float]) -> None:
    """Write down what a start is about to do, for the progress display and for the report.

    By rule, how many `jobs` are still to be done, how many `minutes` each may take on how many
    `threads`, and where a plan says so the `expected` seconds; and the pairs of rules, the second
    of which reads what the first makes.
    """
    rules: dict[str, dict[str, Any]] = {}
    for job in pending_jobs(graph):
        asked = {key: graph.nodes[job][key] for key in ("minutes", "threads")}
        known = rules.setdefault(job.rule, {"jobs": 0, **asked, "expected": expected.get(job.rule)})
        known["jobs"] += 1
    write_text(json.dumps(rules, indent=2) + "\n", Layout(results).pending)
    if report := next((job for job in graph if job.rule == REPORT), None):
        shown = graph.subgraph({report} | nx.ancestors(graph, report))
        named = [[BENCHMARKS.get(job.rule, job.rule) for job in edge] for edge in shown.edges]
        edges = sorted({(before, after) for before, after in named if before != after})
        write_text(json.dumps(edges, indent=2) + "\n", Layout(results).rule_edges)


def rule_edges(results: Path) -> list[tuple[str, str]]:
    """Read the pairs of rules that made the results; none where no start wrote them down."""
    path = Layout(results).rule_edges
    return [tuple(pair) for pair in json.loads(path.read_text())] if path.is_file() else []
