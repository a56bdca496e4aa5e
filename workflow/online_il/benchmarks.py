"""The benchmarks, a row each: whose data have them, what each is for, what figures call them.

Everything that names benchmarks reads this table. docs/adding.md says how to add one.
"""

from dataclasses import dataclass
from typing import Literal

Role = Literal["in distribution", "validation", "out of distribution", "forgetting", "language"]


@dataclass(frozen=True)
class Benchmark:
    """A set of test prompts: the split of its name in one of a task's tables of prompts."""

    name: str
    title: str
    """What figures and tables call it."""
    role: Role
    """What a policy's accuracy on it says; forgetting is measured by the likelihood of choices, and
    language by that of a text, which is no accuracy."""
    data: tuple[str, ...] = ()
    """The kinds of data that have it (`data.kind` in a config). With none, data of any kind have it
    whose settings have a part of its name."""
    examples: bool = False
    """Whether solved examples stand before each question, so that the plan needs their length."""
    further: bool = False
    """Whether its prompts lie in a table beside the first, which a task has that asks for them."""


COUNTDOWN = ("miniature", "english", "countdown")
"""The kinds of data that are Countdown's instances."""

# In the order of tables and figures.
_ROWS = (
    Benchmark("id", "in distribution", "in distribution", COUNTDOWN),
    Benchmark(
        "id2", "in distribution, further prompts", "in distribution", COUNTDOWN, further=True
    ),
    Benchmark("gsm8k", "GSM8K", "in distribution", ("gsm8k",)),
    Benchmark("aime2024", "AIME 2024", "in distribution", ("deepscaler", "aime")),
    Benchmark("aime2025", "AIME 2025", "in distribution", ("aime",)),
    Benchmark("math500", "MATH500", "in distribution", ("deepscaler",)),
    Benchmark("validation", "validation", "validation", ("miniature", "english")),
    Benchmark(
        "ood", "out of distribution", "out of distribution", ("miniature", "english", "countdown")
    ),
    Benchmark(
        "ood2",
        "out of distribution, further prompts",
        "out of distribution",
        COUNTDOWN,
        further=True,
    ),
    Benchmark("forgetting", "forgetting", "forgetting", ("miniature",)),
    Benchmark("mmlu", "forgetting (MMLU)", "forgetting", examples=True),
    Benchmark("knowledge", "forgetting (capitals, currencies)", "forgetting"),
    Benchmark("prose", "English prose", "language"),
)
BENCHMARKS = {benchmark.name: benchmark for benchmark in _ROWS}
ORDER = tuple(BENCHMARKS)
TITLES = {name: benchmark.title for name, benchmark in BENCHMARKS.items()}


def of_role(role: Role) -> tuple[str, ...]:
    """List the names of the benchmarks that are for one thing."""
    return tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.role == role)


def of_data(kind: str) -> tuple[str, ...]:
    """List the names of the benchmarks that a kind of data always has."""
    own = [one for one in BENCHMARKS.values() if kind in one.data and not one.further]
    return tuple(benchmark.name for benchmark in own)


IN_DISTRIBUTION = of_role("in distribution")
OUT_OF_DISTRIBUTION = of_role("out of distribution")
FORGETTING = of_role("forgetting")
LANGUAGE = of_role("language")
SCORED = (*FORGETTING, *LANGUAGE)
"""No response to these is drawn: likelihoods are read."""
OPTIONAL = tuple(name for name, benchmark in BENCHMARKS.items() if not benchmark.data)
"""Any data may have these, by a part of the name in their settings."""
FURTHER = tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.further)
"""Countdown may have these, by a part of the name in `further` of a task."""
WITH_EXAMPLES = tuple(name for name, benchmark in BENCHMARKS.items() if benchmark.examples)
