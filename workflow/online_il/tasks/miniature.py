"""The miniature world: a Countdown that a 0.2 M-parameter transformer can learn in minutes.

The language has one token per number 0-99, per operator and per tag. A response is a chain of
attempts, each closed by an honest check, and then an answer:

    <think> 3 * 12 = 36 - 4 = 32 no 12 + 4 = 16 + 3 = 19 ok </think>
    <answer> ( 12 + 4 ) + 3 </answer> <eos>

The base model is trained on traces of an imperfect searcher (`searcher_trace`) and on a table of
facts (`facts`), the second skill whose loss is the miniature's measure of forgetting.
The paper has none of this: it stands in for a pretrained language model (docs/paper.md).
"""

import random
from collections.abc import Iterator
from functools import cache
from itertools import islice
from typing import NamedTuple

from online_il.tasks.countdown import Instance, solve

LARGEST = 99
"""The largest number that the language can write; every intermediate value lies in 0..LARGEST."""

OPERATORS = "+-*"
SPECIAL = ("<pad>", "<bos>", "<eos>")
TAGS = ("<think>", "</think>", "<answer>", "</answer>")
WORDS = ("(", ")", "=", "T", ":", "ok", "no", "F")
VOCABULARY: tuple[str, ...] = (
    *SPECIAL,
    *TAGS,
    *WORDS,
    *OPERATORS,
    *(str(number) for number in range(LARGEST + 1)),
)
"""All tokens, in the order of their ids."""


class Chain(NamedTuple):
    """Numbers combined from left to right: ((n0 op0 n1) op1 n2) ..."""

    numbers: tuple[int, ...]
    operators: tuple[str, ...]


class Fact(NamedTuple):
    """One row of the table of facts: the prompt `<bos> F a b :` is answered by `value`."""

    a: int
    b: int
    value: int
    choices: tuple[int, ...]


def _apply(left: int, operator: str, right: int) -> int:
    if operator == "+":
        return left + right
    return left - right if operator == "-" else left * right


def values(chain: Chain) -> list[int]:
    """Return the running values of a chain, one per operator; the last one is its result."""
    running = [chain.numbers[0]]
    for operator, number in zip(chain.operators, chain.numbers[1:], strict=True):
        running.append(_apply(running[-1], operator, number))
    return running[1:]


def result(chain: Chain) -> int:
    """Return the last value of a chain; that of a single number is the number."""
    return [chain.numbers[0], *values(chain)][-1]


@cache
def chains(numbers: tuple[int, ...]) -> tuple[Chain, ...]:
    """List the chains over all `numbers` whose values stay in 0..99, in a fixed order."""
    found: list[Chain] = []

    def extend(order: tuple[int, ...], ops: tuple[str, ...], running: int, rest: list[int]) -> None:
        if not rest:
            found.append(Chain(order, ops))
            return
        for number in sorted(set(rest)):
            left = rest.copy()
            left.remove(number)
            for op in OPERATORS:
                value = _apply(running, op, number)
                if 0 <= value <= LARGEST:
                    extend((*order, number), (*ops, op), value, left)

    for first in sorted(set(numbers)):
        rest = list(numbers)
        rest.remove(first)
        extend((first,), (), first, rest)
    return tuple(found)


@cache
def solving_chains(numbers: tuple[int, ...], target: int) -> tuple[Chain, ...]:
    """List the chains over all `numbers` whose result is `target`, in a fixed order."""
    return tuple(chain for chain in chains(tuple(sorted(numbers))) if result(chain) == target)


def attempt_text(chain: Chain, target: int) -> str:
    """Write one attempt and its honest check: `3 * 12 = 36 - 4 = 32 no`."""
    parts = [str(chain.numbers[0])]
    running = values(chain)
    for operator, number, value in zip(chain.operators, chain.numbers[1:], running, strict=True):
        parts.append(f"{operator} {number} = {value}")
    parts.append("ok" if result(chain) == target else "no")
    return " ".join(parts)


def answer_text(chain: Chain) -> str:
    """Write a chain as an answer: `( 3 * 12 ) - 4`."""
    text = str(chain.numbers[0])
    last = len(chain.operators) - 1
    for index, (operator, number) in enumerate(
        zip(chain.operators, chain.numbers[1:], strict=True)
    ):
        text = f"{text} {operator} {number}"
        if index < last:
            text = f"( {text} )"
    return text


def attempts(
    rng: random.Random, instance: Instance, solve_probability: float
) -> Iterator[tuple[Chain, bool]]:
    """Draw the imperfect searcher's attempts, each with whether it solves; the last one does.

    An attempt is a solving chain with probability `solve_probability` (where one exists) and any
    chain that was not tried before otherwise.
    """
    untried = list(chains(tuple(sorted(instance.numbers))))
    solutions = solving_chains(instance.numbers, instance.target)
    solved = False
    while untried and not solved:
        guided = solutions and rng.random() < solve_probability
        chain = rng.choice(solutions if guided else untried)
        untried.remove(chain)
        solved = result(chain) == instance.target
        yield chain, solved


def searcher_trace(
    rng: random.Random,
    instance: Instance,
    *,
    solve_probability: float,
    continue_probability: float,
    max_attempts: int,
) -> str:
    """Draw a response of the imperfect searcher that the base model learns from.

    After a failed attempt the searcher goes on with `continue_probability`, up to `max_attempts`
    attempts; then it answers with its last attempt.
    """
    tried: list[str] = []
    for chain, _ in attempts(rng, instance, solve_probability):
        tried.append(attempt_text(chain, instance.target))
        if len(tried) >= max_attempts or rng.random() >= continue_probability:
            break
    return f"<think> {' '.join(tried)} </think> <answer> {answer_text(chain)} </answer> <eos>"


def practice_trace(
    rng: random.Random, instance: Instance, *, solve_probability: float, max_attempts: int
) -> tuple[str, list[bool]]:
    """Draw a long trace that teaches skills and no habits: (text, which words are trained on).

    The searcher goes on until an attempt solves or `max_attempts` are made. Only results and checks
    are trained on, neither the choice of numbers and operators nor the decision to go on. Without
    such rows the base has hardly seen a late attempt, and says `ok` falsely in 8 % of them; an
    expert trained with GRPO, which searches longer, then learns to give up by saying `ok`
    (docs/log.md).
    """
    words, trained = ["<think>"], [False]
    for chain, _ in islice(attempts(rng, instance, solve_probability), max_attempts):
        attempt = attempt_text(chain, instance.target).split()
        before = ["", *attempt]
        words += attempt
        trained += [
            word in ("ok", "no") or previous == "="
            for previous, word in zip(before, attempt, strict=False)
        ]
    return " ".join(words), trained


def solver_responses(instance: Instance) -> tuple[str, ...]:
    """List every response of the exact solver: its distinct expressions, at once, without search.

    Raises `ValueError` when the instance has no solution in the language.
    """
    solutions = solve(instance.numbers, instance.target, OPERATORS, (0, LARGEST))
    if not solutions:
        raise ValueError(f"no solution of {instance} with {OPERATORS} and values 0..{LARGEST}")
    return tuple(f"<think> </think> <answer> {one} </answer> <eos>" for one in solutions)


def solver_response(rng: random.Random, instance: Instance) -> str:
    """The unrealizable expert: one of the exact solver's responses, all equally likely.

    Raises `ValueError` when the instance has no solution in the language.
    """
    return rng.choice(solver_responses(instance))


def facts(count: int, seed: int, n_choices: int = 4) -> list[Fact]:
    """Draw `count` facts with distinct keys and uniform values, each with `n_choices` choices.

    The choices hold the value at a random place, as the options of MMLU do.
    Raises `ValueError` when there are fewer keys than facts.
    """
    if count > (LARGEST + 1) ** 2:
        raise ValueError(f"{count} facts need {count} keys; there are {(LARGEST + 1) ** 2}")
    rng = random.Random(seed)
    table = []
    for index in rng.sample(range((LARGEST + 1) ** 2), count):
        a, b = divmod(index, LARGEST + 1)
        value = rng.randint(0, LARGEST)
        wrong = rng.sample([v for v in range(LARGEST + 1) if v != value], n_choices - 1)
        choices = [value, *wrong]
        rng.shuffle(choices)
        table.append(Fact(a, b, value, tuple(choices)))
    return table


def fact_prompt(fact: Fact) -> str:
    """Write the prompt `<bos> F a b :`."""
    return f"<bos> F {fact.a} {fact.b} :"
