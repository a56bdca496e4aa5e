"""Prices the jobs of the DAG, and finds those that a figure depends on."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from statistics import mean

import networkx as nx

from online_il.config.plan import Plan
from online_il.config.study import Study
from online_il.cost.rules import COSTS, Policy, Work
from online_il.errors import InputError
from online_il.program.dag import Job

FIGURES = {
    "figure1": "Figure 1",
    "figure2": "Figure 2",
    "figure3": "Figure 3",
    "table1": "Table 1",
    "figure5": "Figure 5",
    "figure6": "Figure 6",
    "figure7": "Figure 7",
}
"""By rule, the figures and tables of trained policies. Figure 4 and the theory take no GPU."""


@dataclass(frozen=True)
class Cost:
    """The cost of one job."""

    work: Work
    gpus: int
    """The GPUs it asks for; cores, where the plan counts those."""
    limit_hours: float
    """Its time limit at the first attempt, hours."""
    gpu_hours: float

    @property
    def hours(self) -> float:
        """The time it takes on the GPUs it asks for, hours."""
        return self.gpu_hours / self.gpus if self.gpus else 0.0


def gpu_hours(plan: Plan, work: Work) -> float:
    """Estimate the time in which one GPU does some work, hours."""
    seconds = work.compute / (plan.training_mfu * plan.peak_tflops * 1e12)
    in_batches = work.decode / plan.decode_tokens_per_second
    in_turn = work.waits * plan.decode_step_seconds
    return (seconds + max(in_batches, in_turn)) / 3600


def cost_of(job: Job, study: Study, plan: Plan) -> Cost:
    """Estimate the cost of a job. Raises `InputError` for a model whose shape is unknown."""
    task = next(task for task in study.tasks if task.name == job.task)
    function, resources = COSTS[job.rule]
    work = function(Policy(study, plan, task, job.run))
    if resources is None:
        return Cost(work, gpus=0, limit_hours=0.0, gpu_hours=0.0)
    asked = getattr(task.resources, resources)
    devices = asked.gpu if plan.device == "GPU" else asked.threads
    hours = gpu_hours(plan, work) if devices else 0.0
    return Cost(work, gpus=devices, limit_hours=asked.runtime / 60, gpu_hours=hours)


def expected_seconds(
    study: Study, jobs: Iterable[Job], cores: int | None = None
) -> dict[str, float]:
    """Give, by rule, the mean time that a study's plan expects of some jobs, seconds.

    No job has more than the `cores` that a start is given. Rules whose models have no known shape
    are left out, and so are all without a plan.
    """
    found: dict[str, list[float]] = defaultdict(list)
    for job in jobs:
        if study.plan is not None and job.rule in COSTS:
            with suppress(InputError):
                cost = cost_of(job, study, study.plan)
                of_cores = study.plan.device == "core" and cores is not None
                devices = min(cost.gpus, cores or 1) if of_cores else cost.gpus
                found[job.rule].append(3600 * cost.gpu_hours / max(1, devices))
    return {rule: mean(seconds) for rule, seconds in found.items()}


def costs_of(study: Study, plan: Plan, graph: nx.DiGraph) -> dict[Job, Cost]:
    """Price the jobs of the tasks and seeds that the plan names, in the order of the config.

    Raises `InputError` for a model whose shape is unknown.
    """
    order, rules = _order(study), list(COSTS)

    def place(job: Job) -> tuple[int, bool, int, int]:
        """What works for all seeds comes last."""
        of_all = job.seed is None
        return order[job.task, job.run], of_all, job.seed or 0, rules.index(job.rule)

    jobs = [job for job in graph if job.rule in COSTS and _is_planned(job, study, plan)]
    jobs.sort(key=place)
    return {job: cost_of(job, study, plan) for job in jobs}


def _is_planned(job: Job, study: Study, plan: Plan) -> bool:
    is_of_task = plan.tasks is None or job.task in plan.tasks
    serves_all_seeds = _serves_all_seeds(job, study) and job.rule != "sample"
    if not is_of_task or plan.seeds is None or serves_all_seeds:
        return is_of_task
    return bool(_seeds(job, study) & set(plan.seeds))


def _serves_all_seeds(job: Job, study: Study) -> bool:
    bases = next(task for task in study.tasks if task.name == job.task).named_bases
    return job.run in bases and bases[job.run].seed is not None


def _seeds(job: Job, study: Study) -> set[int]:
    """The seeds that a job works for: its own, or all of its run's."""
    if job.seed is not None:
        return {job.seed}
    task = next(task for task in study.tasks if task.name == job.task)
    return set(task.seeds_of(next(run for run in task.runs if run.name == job.run)))


def bases_of(study: Study) -> set[tuple[str, str]]:
    """List all bases, each with its task."""
    return {(task.name, name) for task in study.tasks for name in task.named_bases}


def _order(study: Study) -> dict[tuple[str, str], int]:
    """Number all policies: task by task, the bases, then runs, each before its expert."""
    policies: list[tuple[str, str]] = []
    for task in study.tasks:
        names = [*task.named_bases]
        for run in task.runs:
            names += [run.name, run.expert or run.name]
        names += [expert.name for expert in task.experts]
        policies += dict.fromkeys((task.name, name) for name in names)
    return {policy: place for place, policy in enumerate(policies)}


def jobs_of_figures(graph: nx.DiGraph, costs: dict[Job, Cost]) -> dict[str, set[Job]]:
    """List the jobs that each figure and table depends on, of those that depend on any."""
    drawn = {job.rule: job for job in graph if job.rule in FIGURES}
    needed = {name: nx.ancestors(graph, drawn[name]) for name in FIGURES if name in drawn}
    found = {name: jobs & costs.keys() for name, jobs in needed.items()}
    return {name: jobs for name, jobs in found.items() if jobs}
