"""The plan as tables: one row a policy, and totals of figures, tasks and seeds."""

from collections.abc import Iterable
from typing import Any

import pandas as pd
import pandera.pandas as pa
from pandera.typing import Series

from online_il.config.plan import Plan
from online_il.config.study import Study
from online_il.cost.jobs import Cost, bases_of
from online_il.program.dag import Job
from online_il.records import Table


class PlannedRuns(Table):
    """One row a policy: all jobs that work for it, before any of them is started."""

    task: Series[str] = pa.Field(description="Name of the task.")
    run: Series[str] = pa.Field(description="Name of the run, expert or base.")
    method: Series[str] = pa.Field(description="Method of a run, base, or kind of an expert.")
    seed: Series[pd.Int64Dtype] = pa.Field(
        ge=0, nullable=True, coerce=True, description="Seed; none where a job is for all seeds."
    )
    jobs: Series[str] = pa.Field(description="The rules of its jobs, with spaces between.")
    gpus: Series[int] = pa.Field(ge=0, description="GPUs of the job that asks for the most.")
    gpu_hours: Series[float] = pa.Field(ge=0, description="GPU-hours of all its jobs.")
    longest_hours: Series[float] = pa.Field(ge=0, description="Its longest job, hours.")
    limit_hours: Series[float] = pa.Field(ge=0, description="Time limit of that job, hours.")
    tokens_generated: Series[int] = pa.Field(ge=0, description="Tokens generated on GPUs.")
    tokens_trained: Series[int] = pa.Field(ge=0, description="Response tokens trained on.")
    api_prompt_tokens: Series[int] = pa.Field(ge=0, description="Tokens sent to an API.")
    api_response_tokens: Series[int] = pa.Field(ge=0, description="Tokens an API answers.")
    api_cost: Series[float] = pa.Field(ge=0, description="What the API costs, US dollars.")
    figures: Series[str] = pa.Field(description="Figures that depend on it, with spaces between.")


SUMMED = ("generated", "trained", "api_prompt", "api_response", "api_cost")
Costs = dict[Job, Cost]
Figures = dict[str, set[Job]]


def rows_of(study: Study, costs: Costs, figures: Figures) -> list[dict[str, Any]]:
    """Tabulate the plan, a row a policy (`PlannedRuns`), in the order of its jobs.

    `figures` holds the jobs of each figure.
    """
    kinds: dict[tuple[str, str], str] = {}
    for t in study.tasks:
        kinds |= {(t.name, run.name): run.method for run in t.runs}
        kinds |= {(t.name, expert.name): expert.kind for expert in t.experts}
    kinds |= dict.fromkeys(bases_of(study), "base")
    grouped: dict[tuple[str, str, int | None], list[Job]] = {}
    for job in costs:
        grouped.setdefault((job.task, job.run, job.seed), []).append(job)
    rows = []
    for (task, run, seed), jobs in grouped.items():
        longest = max((costs[job] for job in jobs), key=lambda cost: cost.hours)
        sums = total(costs, jobs)
        rows.append(
            {
                "task": task,
                "run": run,
                "method": kinds[task, run],
                "seed": seed,
                "jobs": " ".join(job.rule for job in jobs),
                "gpus": sums["gpus"],
                "gpu_hours": float(sums["gpu_hours"]),
                "longest_hours": float(longest.hours),
                "limit_hours": float(longest.limit_hours),
                "tokens_generated": round(sums["generated"]),
                "tokens_trained": round(sums["trained"]),
                "api_prompt_tokens": round(sums["api_prompt"]),
                "api_response_tokens": round(sums["api_response"]),
                "api_cost": float(sums["api_cost"]),
                "figures": " ".join(name for name, keys in figures.items() if keys & set(jobs)),
            }
        )
    return rows


def total(costs: Costs, jobs: Iterable[Job]) -> dict[str, Any]:
    """Add up the costs of some jobs."""
    chosen = [costs[job] for job in jobs]
    sums: dict[str, Any] = {n: sum(getattr(cost.work, n) for cost in chosen) for n in SUMMED}
    return sums | {
        "gpu_hours": sum(cost.gpu_hours for cost in chosen),
        "gpus": max((cost.gpus for cost in chosen), default=0),
        "jobs": len(chosen),
    }


def totals(study: Study, costs: Costs, figures: Figures) -> dict[str, dict[str, dict[str, Any]]]:
    """Add up everything, each figure with all that it depends on, each task and each seed."""
    tasks = dict.fromkeys(job.task for job in costs)
    known = bases_of(study)
    bases = [job for job in costs if (job.task, job.run) in known]
    trained = [job for job in costs if (job.task, job.run) not in known]
    by_seed = {
        f"seed {seed}": total(costs, [job for job in trained if job.seed == seed])
        for seed in sorted({job.seed for job in trained if job.seed is not None})
    }
    if of_all := [job for job in trained if job.seed is None]:
        by_seed["all seeds together"] = total(costs, of_all)
    if bases:
        by_seed = {"bases": total(costs, bases)} | by_seed
    return {
        "all": {"everything": total(costs, costs)},
        "figure": {name: total(costs, jobs) for name, jobs in figures.items()},
        "task": {name: total(costs, [job for job in costs if job.task == name]) for name in tasks},
        "seed": by_seed,
    }


def hours_text(hours: float) -> str:
    """Write hours: few of them with two digits, for a small study takes less than one."""
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:.2g}"


def sentence(name: str, sums: dict[str, Any], plan: Plan) -> str:
    """Say in words what a figure costs."""
    words = f"{name} costs {hours_text(sums['gpu_hours'])} {plan.hours}"
    if plan.gpu_price is not None:
        words += f" (${sums['gpu_hours'] * plan.gpu_price:,.0f})"
    if sums["api_response"]:
        asked = (sums["api_prompt"] + sums["api_response"]) / 1e6
        price = f"${sums['api_cost']:,.2f}" if sums["api_cost"] else "an unknown price"
        words += f" and {price} for {asked:,.1f} million API tokens"
    return f"{words}."
