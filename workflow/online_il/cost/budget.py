"""What of a study a budget buys, part by part, the cheapest next one first.

A part is a run of one seed, evaluated, with all that it needs (its base and that base's evaluation,
its expert, demonstrations), or a figure. What two parts need is paid once, and what is finished is
paid already.
"""

import math
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import networkx as nx

from online_il.config.plan import Plan
from online_il.config.study import Study
from online_il.cost.jobs import FIGURES, Cost, cost_of
from online_il.errors import InputError
from online_il.layout import Layout
from online_il.program.dag import Job


class Part(NamedTuple):
    """Something that can be had of a study."""

    name: str
    """What people call it."""
    targets: tuple[str, ...]
    """Figures by their names and folders of evaluations, as Snakemake is asked for them."""
    jobs: frozenset[Job]
    """The jobs with a cost that it needs and that are still to be done."""


class Purchase(NamedTuple):
    """A part that is bought, after those before it."""

    part: Part
    more: float
    """What it costs beside them, US dollars."""
    together: float
    """What all cost so far, US dollars."""
    hours: float
    """The GPU-hours of `more`."""


def dollars(given: object) -> float:
    """Read a budget, US dollars. Raises `InputError` for what is no amount above 0."""
    try:
        amount = math.nan if isinstance(given, bool) else float(str(given))
    except ValueError:
        amount = math.nan
    if not 0 < amount < math.inf:
        raise InputError(
            f"command line: budget = {given!r}: write an amount of US dollars above 0 as a plain "
            "number, such as `snakemake plan --config budget=50`; no sign $, which a shell replaces"
        )
    return amount


def parts_of(
    study: Study, graph: nx.DiGraph, costs: dict[Job, Cost], figures: dict[str, set[Job]]
) -> list[Part]:
    """List what can be had of the jobs that are priced: runs in the config's order, then figures.

    `figures` holds the jobs of each figure. A job without `pending` in the graph is to be done.
    """
    layout = Layout(Path("results", study.scale))
    evaluated = {job[1:4]: job for job in costs if job.rule == "evaluate"}
    found = []

    def left(jobs: Iterable[Job]) -> frozenset[Job]:
        """Of the jobs and all that they need, what costs something and is to be done."""
        needed = {*jobs}.union(*(nx.ancestors(graph, job) for job in jobs))
        return frozenset(job for job in needed & costs.keys() if graph.nodes[job].get("pending", 1))

    for task in study.tasks:
        for seed in task.seeds:
            for run in (run for run in task.runs if (task.name, run.name, seed) in evaluated):
                base = task.base_of(run.name)
                own = task.named_bases[base].seed
                of_base = (task.name, base, seed if own is None else own)
                policies = [
                    one for one in (of_base, (task.name, run.name, seed)) if one in evaluated
                ]
                places = [str(layout.evaluations(*policy)) for policy in policies]
                jobs = left([evaluated[policy] for policy in policies])
                found.append(Part(f"{task.name}/{run.name}, seed {seed}", tuple(places), jobs))
    alike = {name: left(jobs) for name, jobs in figures.items()}
    for jobs in dict.fromkeys(alike.values()):
        names = [name for name in alike if alike[name] == jobs]
        called = " and ".join(FIGURES[name] for name in names)
        found.append(Part(called, tuple(names), jobs))
    return found


def buy(
    parts: list[Part], costs: dict[Job, Cost], plan: Plan, budget: float
) -> tuple[list[Purchase], Purchase | None]:
    """Buy parts for `budget` US dollars, always the one that costs the least beside those before.

    Gives what is bought, in order, and the cheapest part that is too dear, none where all are
    bought. Raises `InputError` where GPUs work and the plan has no price of theirs.
    """
    if plan.gpu_price is None and any(cost.gpu_hours for cost in costs.values()):
        raise InputError(
            f"plan.gpu_price: the config does not say what a {plan.device}-hour costs, so nobody "
            "can tell what a budget buys; add it, US dollars"
        )
    bought: list[Purchase] = []
    paid: set[Job] = set()
    spent, waiting = 0.0, [*parts]
    while waiting:
        prices = [sum(_price(costs[job], plan) for job in part.jobs - paid) for part in waiting]
        more = min(prices)
        part = waiting.pop(prices.index(more))
        hours = sum(costs[job].gpu_hours for job in part.jobs - paid)
        purchase = Purchase(part, more, spent + more, hours)
        if spent + more > budget * (1 + 1e-9):  # Sums of floats.
            return bought, purchase
        bought.append(purchase)
        paid |= part.jobs
        spent += more
    return bought, None


def _price(cost: Cost, plan: Plan) -> float:
    return cost.gpu_hours * (plan.gpu_price or 0.0) + cost.work.api_cost


def targets_of(bought: list[Purchase]) -> list[str]:
    """Write all that is bought as targets; folders that differ in the run alone are one word."""
    wanted = dict.fromkeys(target for purchase in bought for target in purchase.part.targets)
    folders = [Path(target) for target in wanted if "/" in target]

    def place(folder: Path) -> tuple[str, str]:
        return str(folder.parent.parent), folder.name

    short = []
    for (above, seed), group in groupby(sorted(folders, key=place), key=place):
        names = [folder.parent.name for folder in group]
        runs = names[0] if len(names) == 1 else f"{{{','.join(names)}}}"
        short.append(f"{above}/{runs}/{seed}")
    return [*(target for target in wanted if "/" not in target), *short]


def figures_alone(
    parts: list[Part], costs: dict[Job, Cost], plan: Plan, budget: float
) -> list[Purchase]:
    """List the figures that a budget buys where nothing else is bought, by `buy`."""
    figures = [part for part in parts if "/" not in part.targets[0]]
    return [one for part in figures for one in buy([part], costs, plan, budget)[0]]


def sentences(
    study: Study, parts: list[Part], costs: dict[Job, Cost], plan: Plan, budget: float, options: str
) -> list[str]:
    """Say what a budget buys and how it is started.

    `options` are those of the command that starts the study.
    """
    bought, dearer = buy(parts, costs, plan, budget)
    lines = [f"What ${budget:,.2f} buys of what is not done yet, the cheapest next part first:"]
    for number, (part, more, together, hours) in enumerate(bought, 1):
        cost = f"${more:,.2f} ({hours:,.1f} {plan.hours}), together ${together:,.2f}"
        lines.append(f"{number:3}. {part.name}: {cost if more else 'nothing more'}")
    if dearer is None:
        lines.append(f"That is everything: snakemake {options}")
    elif bought:
        name, more, total = dearer.part.name, dearer.more, dearer.together
        lines.append(f"Next would be {name}: ${more:,.2f} more, ${total:,.2f} in all.")
        lines.append(f"To start it: snakemake {' '.join(targets_of(bought))} {options}")
    else:
        lines.append(f"  nothing: the cheapest, {dearer.part.name}, costs ${dearer.more:,.2f}")
    asked = [costs[job].work for job in {job for one in bought for job in one.part.jobs}]
    if free := sum(one.api_prompt + one.api_response for one in asked if not one.api_cost):
        lines.append(
            f"Not counted: {free / 1e6:,.1f} million API tokens of which the config has no price "
            "(price_input and price_output of the expert)"
        )
    had = {purchase.part for purchase in bought}
    for alone in figures_alone(parts, costs, plan, budget):
        if alone.part not in had:
            start = f"snakemake {' '.join(alone.part.targets)} {options}"
            lines.append(f"In its place, {alone.part.name} for ${alone.more:,.2f}: {start}")
    for other in plan.other_gpus:
        there = {job: cost_of(job, study, plan.on(other)) for job in costs}
        many = len(buy(parts, there, plan.on(other), budget)[0])
        lines.append(
            f"On {other.gpu} it buys {many} of the {len(parts)} parts, here {len(bought)}."
        )
    return lines
