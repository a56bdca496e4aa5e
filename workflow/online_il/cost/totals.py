"""The plan as tables: one row a policy, and totals of figures, tasks and seeds."""

from collections.abc import Iterable
from typing import Any

import pandera.pandas as pa
from pandera.typing import Series

from online_il.config.study import Study
from online_il.cost.jobs import Job, Key, figures
from online_il.records import Table


class PlannedRuns(Table):
    """One row a policy: all jobs that work for it, before any of them is started."""

    task: Series[str] = pa.Field(description="Name of the task.")
    run: Series[str] = pa.Field(description="Name of the run or expert; base for the base.")
    method: Series[str] = pa.Field(description="Method of a run, base, or kind of an expert.")
    seed: Series[int] = pa.Field(ge=0, description="Seed.")
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


COUNTS = ("gpu_hours", "generated", "trained", "api_prompt", "api_response", "api_cost")


def rows_of(study: Study, jobs: dict[Key, Job]) -> list[dict[str, Any]]:
    """The plan, a row a policy (`PlannedRuns`), by task, then bases first."""
    kinds: dict[tuple[str, str], str] = {}
    for t in study.tasks:
        kinds |= {(t.name, run.name): run.method for run in t.runs}
        kinds |= {(t.name, expert.name): expert.kind for expert in t.experts}
    serving = {name: {key[1:] for key in keys} for name, keys in figures(study, jobs).items()}
    grouped: dict[tuple[str, str, int], list[tuple[str, Job]]] = {}
    for (rule, task, run, seed), job in jobs.items():
        grouped.setdefault((task, run, seed), []).append((rule, job))
    # All seeds of a policy together, in the order of the config.
    places = {policy: n for n, policy in reversed(list(enumerate(p[:2] for p in grouped)))}
    rows = []
    for task, run, seed in sorted(grouped, key=lambda p: (places[p[:2]], p[2])):
        parts = grouped[task, run, seed]
        longest = max((job for _, job in parts), key=lambda job: job.hours)
        sums = {name: sum(getattr(job, name) for _, job in parts) for name in COUNTS}
        rows.append(
            {
                "task": task,
                "run": run,
                "method": "base" if run == "base" else kinds[task, run],
                "seed": seed,
                "jobs": " ".join(rule for rule, _ in parts),
                "gpus": max(job.gpus for _, job in parts),
                "gpu_hours": float(sums["gpu_hours"]),
                "longest_hours": float(longest.hours),
                "limit_hours": float(longest.limit_hours),
                "tokens_generated": round(sums["generated"]),
                "tokens_trained": round(sums["trained"]),
                "api_prompt_tokens": round(sums["api_prompt"]),
                "api_response_tokens": round(sums["api_response"]),
                "api_cost": float(sums["api_cost"]),
                "figures": " ".join(n for n, keys in serving.items() if (task, run, seed) in keys),
            }
        )
    return rows


def total(jobs: dict[Key, Job], keys: Iterable[Key]) -> dict[str, float]:
    """What some jobs take together, each counted once."""
    chosen = [jobs[key] for key in set(keys)]
    sums: dict[str, float] = {name: sum(getattr(job, name) for job in chosen) for name in COUNTS}
    return sums | {"jobs": len(chosen), "gpus": max((job.gpus for job in chosen), default=0)}


def totals(study: Study, jobs: dict[Key, Job]) -> dict[str, dict[str, dict[str, float]]]:
    """Totals of everything, of each figure with all that it depends on, of each task and seed."""
    tasks = dict.fromkeys(key[1] for key in jobs)
    bases = [key for key in jobs if key[2] == "base"]
    seeds = sorted({key[3] for key in jobs if key[2] != "base"})
    by_seed = {
        f"seed {seed}": total(jobs, [k for k in jobs if k[3] == seed and k[2] != "base"])
        for seed in seeds
    }
    if bases:
        by_seed = {"bases": total(jobs, bases)} | by_seed
    return {
        "all": {"everything": total(jobs, jobs)},
        "figure": {name: total(jobs, keys) for name, keys in figures(study, jobs).items()},
        "task": {name: total(jobs, [k for k in jobs if k[1] == name]) for name in tasks},
        "seed": by_seed,
    }


def sentence(name: str, sums: dict[str, Any], gpu_price: float | None) -> str:
    """What a figure costs, in words."""
    words = f"{name} costs {sums['gpu_hours']:,.0f} GPU-hours"
    if gpu_price is not None:
        words += f" (${sums['gpu_hours'] * gpu_price:,.0f})"
    if sums["api_response"]:
        asked = (sums["api_prompt"] + sums["api_response"]) / 1e6
        price = f"${sums['api_cost']:,.2f}" if sums["api_cost"] else "an unknown price"
        words += f" and {price} for {asked:,.1f} million API tokens"
    return f"{words}."
