"""Settings of an expert that is a mixture of policies, and what is wrong between them."""

import difflib
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from online_il.config.reading import ABSENT, Keys, Problem, Rows, ints, rows_of, text, value_at
from online_il.config.settings import Settings

NAME = r"^[a-z0-9][a-z0-9.-]*$"
WEIGHTED = ("model", "random")
"""Kinds of experts that have weights, and so next-token probabilities."""
TOLERANCE = 1e-6
"""How far weights may sum from one, for thirds have no last digit."""


class MixtureExpert(Settings):
    """A mixture of policies over whole responses, with exact next-token probabilities.

    A part that is a run is its last checkpoint of the student's seed.
    """

    name: str = Field(pattern=NAME, description="Name that runs refer to.")
    kind: Literal["mixture"] = Field(description="A mixture of policies.")
    parts: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(
        min_length=1,
        description="Weight of each part, by name: a run, the base, a model or the solver. They "
        "sum to 1.",
    )
    learnable: str | None = Field(
        None,
        description="The part that the student's class can represent; none when left out. One over "
        "its weight is the coverage coefficient C (paper, Section 3.2).",
    )
    smoothing: float = Field(
        0.001,
        gt=0,
        lt=1,
        description="Probability that a token of the solver's is drawn evenly from all tokens.",
    )
    fallback: str | None = Field(
        None,
        description="The run, base or model that goes on where a response has left the solver's "
        "answers. One that is also a part costs nothing.",
    )
    temperature: float = Field(
        1.0, gt=0, description="Softmax temperature of the parts that are runs or models."
    )


def mixture_problems(task: Mapping[str, Any], here: Keys) -> Iterator[Problem]:
    """What is wrong with the mixtures of a task, in the raw mapping."""
    experts, runs = rows_of(task, "experts"), rows_of(task, "runs")
    kinds = {text(expert, "name"): text(expert, "kind") for _, expert in experts}
    kinds |= {text(run, "name"): "run" for _, run in runs} | {"base": "run"}
    kinds.pop("", None)
    mixtures = [(row, expert) for row, expert in experts if text(expert, "kind") == "mixture"]
    made_from = {text(run, "name"): [text(run, "expert")] for _, run in runs}
    made_from |= {text(expert, "name"): list(_asked(expert).values()) for _, expert in mixtures}
    for row, expert in mixtures:
        at: Keys = (*here, "experts", row)
        named = [name for keys, name in _asked(expert).items() if keys[0] == "parts"]
        for keys, name in _asked(expert).items():
            value = value_at(expert, *keys)
            yield from _part_problems((*at, *keys), value, name, kinds)
            # A part that is a mixture has its own problem.
            if kinds.get(name) == "run" and text(expert, "name") in _reached(name, made_from):
                yield Problem(
                    (*at, *keys),
                    value,
                    f"{name} imitates this mixture in the end, which would be made of itself",
                    "name a policy that is trained without it",
                )
        yield from _weight_problems(value_at(expert, "parts"), at)
        yield from _key_problems(expert, named, kinds, at)
        yield from _seed_problems(task, runs, expert, here)


def _asked(expert: dict[str, Any]) -> dict[tuple[str, ...], str]:
    """The policies that a mixture names, by their keys in it."""
    parts, fallback = value_at(expert, "parts"), text(expert, "fallback")
    named = [part for part in parts if isinstance(part, str)] if isinstance(parts, dict) else []
    asked: dict[tuple[str, ...], str] = {("parts", part): part for part in named}
    return asked | ({("fallback",): fallback} if fallback else {})


def _part_problems(
    keys: Keys, value: object, part: str, kinds: dict[str, str]
) -> Iterator[Problem]:
    """A part or a fallback must be a policy with next-token probabilities."""
    fallback = keys[-1] == "fallback"
    able = sorted(
        name
        for name, kind in kinds.items()
        if kind in ("run", *WEIGHTED) or (kind == "solver" and not fallback)
    )
    there_are = f"there are: {', '.join(able)}"
    kind = kinds.get(part)
    if kind is None:
        close = difflib.get_close_matches(part, able, 1)
        hint = f"did you mean '{close[0]}'? ({there_are})" if close else there_are
        yield Problem(keys, value, f"no run, model or solver is named '{part}'", hint)
    elif kind == "mixture":
        yield Problem(keys, value, "a mixture is made of no other", f"name its parts ({there_are})")
    elif part not in able:
        reason = (
            "the solver knows no way to go on from what is not an answer of its own"
            if kind == "solver"
            else f"'{part}' gives samples and no next-token probabilities"
        )
        yield Problem(keys, value, reason, f"name another ({there_are})")


def _weight_problems(parts: object, at: Keys) -> Iterator[Problem]:
    weights = list(parts.values()) if isinstance(parts, dict) else []
    if not weights or not all(_positive(weight) for weight in weights):
        return  # The classes say so.
    total = math.fsum(weights)
    if abs(total - 1) > TOLERANCE and all(weight <= 1 for weight in weights):
        shown = " + ".join(f"{weight:g}" for weight in weights)
        yield Problem(
            (*at, "parts"), parts, f"the weights sum to {total:.9g} ({shown})", "let them sum to 1"
        )


def _key_problems(
    expert: dict[str, Any], named: list[str], kinds: dict[str, str], at: Keys
) -> Iterator[Problem]:
    solvers = [part for part in named if kinds.get(part) == "solver"]
    learnable = text(expert, "learnable")
    if learnable and named and learnable not in named:
        yield Problem(
            (*at, "learnable"),
            learnable,
            "this is no part of the mixture",
            f"name one of its parts ({', '.join(named)})",
        )
    elif learnable and learnable in solvers:
        yield Problem(
            (*at, "learnable"),
            learnable,
            "no student can represent the solver, which answers before any thought",
            "name another part, or remove the key",
        )
    fallback = value_at(expert, "fallback")
    if solvers and fallback in (ABSENT, None):
        yield Problem(
            (*at, "fallback"),
            ABSENT,
            f"the part {solvers[0]} needs a policy that goes on where a response is none of its "
            "answers",
            "name a run, the base or a model; one that is also a part costs nothing",
        )
    for key in ("fallback", "smoothing"):
        value = value_at(expert, key)
        if named and not solvers and value not in (ABSENT, None):
            yield Problem(
                (*at, key), value, "this is for a mixture with the solver, and it is none of the "
                "parts", "remove it, or add the solver to the parts",
            )  # fmt: skip
    if len(solvers) > 1:
        yield Problem(
            (*at, "parts", solvers[1]),
            value_at(expert, "parts", solvers[1]),
            f"the solver stands here twice, also as {solvers[0]}",
            "keep one of the two",
        )


def _seed_problems(
    task: Mapping[str, Any], runs: Rows, expert: dict[str, Any], here: Keys
) -> Iterator[Problem]:
    """A run of seed k imitates the mixture of the runs of seed k."""
    shared = ints(task, "seeds") or []
    seeds_of = {text(run, "name"): ints(run, "seeds") or shared for _, run in runs}
    for row, run in runs:
        if text(run, "expert") != text(expert, "name"):
            continue
        for part in dict.fromkeys(_asked(expert).values()):
            own, theirs = seeds_of[text(run, "name")], seeds_of.get(part)
            missing = [seed for seed in own if theirs is not None and seed not in theirs]
            if missing:
                yield Problem(
                    (*here, "runs", row, "seeds"),
                    value_at(run, "seeds"),
                    f"its expert '{text(expert, 'name')}' is made of '{part}', which has no seed "
                    f"{', '.join(map(str, missing))}",
                    f"keep to the seeds of '{part}' ({theirs}), or give it more",
                )


def _reached(start: str, leads_to: Mapping[str, list[str]]) -> set[str]:
    """Every name that a policy is made from, itself among them only by a circle."""
    pending, reached = [start], set[str]()
    while pending:
        for name in leads_to.get(pending.pop(), []):
            if name and name not in reached:
                reached.add(name)
                pending.append(name)
    return reached


def _positive(weight: object) -> bool:
    return isinstance(weight, int | float) and not isinstance(weight, bool) and weight > 0
