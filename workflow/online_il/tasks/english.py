"""Countdown in English, for pretrained language models that chat: prompts, traces and answers.

A prompt is one message of the user's. A response is a chain of attempts, each closed by an honest
check, and then an answer:

    Use each of 1, 2, 4 once with + - * to make 10.
    1 + 4 = 5 + 2 = 7 no. 2 * 1 = 2 + 4 = 6 no. <answer>( 2 * 1 ) + 4</answer>

What the imperfect searcher tries and what the exact solver knows is the miniature's
(`online_il.tasks.miniature`); here stands how it is said. The paper has none of this: the traces
stand in for the solutions on which it fine-tunes a base (docs/paper.md).
"""

import random
import re
from itertools import islice

from online_il.chat import as_text, messages_of
from online_il.tasks import miniature
from online_il.tasks.countdown import Instance, solve
from online_il.tasks.miniature import Chain

RIGHT, WRONG = "yes.", "no."
"""The two checks of an attempt."""
_ASKED = re.compile(r"Use each of (\d+(?:, \d+)*) once with [-+*/ ]+ to make (\d+)\.", re.ASCII)
_MAX_DIGITS = 18
"""Numbers that are no question's: Python refuses to read some thousand digits."""
OPEN = "<answer>"
"""What the answer begins with, after the attempts."""


def question(instance: Instance) -> str:
    """Write what the user asks: `Use each of 1, 2, 4 once with + - * to make 10.`"""
    numbers = ", ".join(map(str, instance.numbers))
    operators = " ".join(miniature.OPERATORS)
    return f"Use each of {numbers} once with {operators} to make {instance.target}."


def prompt(instance: Instance) -> str:
    """Write a prompt: the question as a conversation."""
    return as_text([{"role": "user", "content": question(instance)}])


def instance_of(text: str) -> Instance | None:
    """Read the last question in a text, of a conversation or rendered; None without any."""
    found = _ASKED.findall(text)
    if not found:
        return None
    numbers, target = found[-1]
    digits = [*numbers.split(", "), target]
    if max(map(len, digits)) > _MAX_DIGITS:
        return None
    *values, wanted = map(int, digits)
    return Instance(tuple(values), wanted)


def is_prompt(text: str) -> bool:
    """Say whether a prompt's text is a question of this kind."""
    messages = messages_of(text)
    return messages is not None and instance_of(messages[-1]["content"]) is not None


def answer_text(expression: str) -> str:
    """Write an answer: `<answer>( 2 * 1 ) + 4</answer>`."""
    return f"{OPEN}{expression}</answer>"


def attempt_text(chain: Chain, target: int) -> str:
    """Write one attempt and its honest check: `3 * 12 = 36 - 4 = 32 no.`"""
    steps, _, check = miniature.attempt_text(chain, target).rpartition(" ")
    return f"{steps} {RIGHT if check == 'ok' else WRONG}"


def searcher_trace(
    rng: random.Random,
    instance: Instance,
    *,
    solve_probability: float,
    continue_probability: float,
    max_attempts: int,
) -> str:
    """Draw a response of the imperfect searcher, who goes on as in `miniature.searcher_trace`."""
    tried: list[str] = []
    for chain, _ in miniature.attempts(rng, instance, solve_probability):
        tried.append(attempt_text(chain, instance.target))
        if len(tried) >= max_attempts or rng.random() >= continue_probability:
            break
    return f"{' '.join(tried)} {answer_text(miniature.answer_text(chain))}"


def practice_trace(
    rng: random.Random, instance: Instance, *, solve_probability: float, max_attempts: int
) -> tuple[str, list[tuple[int, int]]]:
    """Draw a long trace that teaches skills and no habits: (text, where it is trained on).

    As in `miniature.practice_trace` these are results and checks alone, each from the space before
    it to its end, as places in the text.
    """
    text, trained = "", []
    for chain, _ in islice(miniature.attempts(rng, instance, solve_probability), max_attempts):
        before = ""
        for word in attempt_text(chain, instance.target).split():
            start = len(text)
            text += f" {word}" if text else word
            if before == "=" or word in (RIGHT, WRONG):
                trained.append((start, len(text)))
            before = word
    return text, trained


def solver_responses(instance: Instance) -> tuple[str, ...]:
    """List every response of the exact solver: its distinct expressions, at once, without search.

    Raises `ValueError` for an instance without a solution whose values stay in the miniature's.
    """
    bounds = (0, miniature.LARGEST)
    solutions = solve(instance.numbers, instance.target, miniature.OPERATORS, bounds)
    if not solutions:
        raise ValueError(
            f"no solution of {instance} with {miniature.OPERATORS} and values {bounds}"
        )
    return tuple(map(answer_text, solutions))
