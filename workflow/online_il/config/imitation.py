"""Ways to imitate: what is compared, on whose prefixes, and how far ahead the gradient looks."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from online_il.config.partial import spared

Divergence = Literal["reverse", "forward", "log-density", "constant"]
Prefixes = Literal["own", "expert"]
Level = Literal["token", "response"]
Filter = Literal["none", "learnable", "correct"]


class Misfit(NamedTuple):
    """A setting that does not go with the others: its key, what is wrong, what to do."""

    key: str
    what: str
    remedy: str


class Way(NamedTuple):
    """One way to imitate, as `Distill` says it."""

    divergence: Divergence
    prefixes: Prefixes
    level: Level
    responses_per_prompt: int
    batch_size: int


def misfit(
    *,
    divergence: Divergence,
    prefixes: Prefixes,
    level: Level,
    responses_per_prompt: int,
    batch_size: int,
) -> Misfit | None:
    """The first of a distillation's settings that does not go with the others, if any.

    Of settings that are refused (`partial.Stub`) nothing is told.
    """
    way = Way(divergence, prefixes, level, responses_per_prompt, batch_size)
    return next((found for rule in _RULES for found in _broken(rule, way)), None)


class _Rule(NamedTuple):
    broken: Callable[[Way], bool]
    key: str
    what: str
    remedy: str


@spared
def _broken(rule: _Rule, way: Way) -> Iterator[Misfit]:
    if rule.broken(way):
        values = way._asdict()
        yield Misfit(rule.key, rule.what.format(**values), rule.remedy.format(**values))


_RULES = (
    _Rule(
        lambda way: way.prefixes == "expert" and way.divergence in ("log-density", "constant"),
        "prefixes",
        "divergence {divergence} scores what the student samples, and the prefixes are the "
        "expert's",
        "set prefixes to own, or divergence to reverse or forward",
    ),
    _Rule(
        lambda way: way.prefixes == "expert" and way.level == "response",
        "level",
        "the student does not choose the expert's prefixes, so the gradient at the level of "
        "tokens is whole already",
        "set level to token, or prefixes to own",
    ),
    _Rule(
        lambda way: way.level == "response" and way.divergence == "forward",
        "level",
        "the forward KL of whole responses is that of the expert's own prefixes, token by token",
        "set level to token and prefixes to expert, or divergence to reverse",
    ),
    _Rule(
        lambda way: way.level == "response" and way.divergence == "constant",
        "level",
        "a constant advantage has no cost that comes later",
        "set level to token",
    ),
    _Rule(
        lambda way: way.level == "token" and way.divergence == "log-density",
        "level",
        "the expert's density is that of a whole response (Definition 3)",
        "set level to response",
    ),
    _Rule(
        lambda way: way.level == "response" and way.responses_per_prompt < 2,
        "responses_per_prompt",
        "level response compares the responses to one prompt, and there is one",
        "ask for at least 2; 8 were tried",
    ),
    _Rule(
        lambda way: way.prefixes == "expert" and way.responses_per_prompt > 1,
        "responses_per_prompt",
        "the expert's demonstrations say how many responses a prompt has",
        "leave it out, or set prefixes to own",
    ),
    _Rule(
        lambda way: way.batch_size % way.responses_per_prompt != 0,
        "responses_per_prompt",
        "the {batch_size} responses of an update do not divide into groups of "
        "{responses_per_prompt}",
        "choose a divisor of {batch_size}",
    ),
)
