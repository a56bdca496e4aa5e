"""Ways to imitate: what is compared, on whose prefixes, and how far ahead the gradient looks."""

from typing import Literal, NamedTuple

Divergence = Literal["reverse", "forward", "log-density", "constant"]
Prefixes = Literal["own", "expert"]
Level = Literal["token", "response"]
Filter = Literal["none", "learnable", "correct"]


class Misfit(NamedTuple):
    """A setting that does not go with the others: its key, what is wrong, what to do."""

    key: str
    what: str
    remedy: str


def misfit(
    *,
    divergence: Divergence,
    prefixes: Prefixes,
    level: Level,
    responses_per_prompt: int,
    batch_size: int,
) -> Misfit | None:
    """The first of a distillation's settings that does not go with the others, if any."""
    if prefixes == "expert" and divergence in ("log-density", "constant"):
        return Misfit(
            "prefixes",
            f"divergence {divergence} scores what the student samples, and the prefixes are the "
            "expert's",
            "set prefixes to own, or divergence to reverse or forward",
        )
    if prefixes == "expert" and level == "response":
        return Misfit(
            "level",
            "the student does not choose the expert's prefixes, so the gradient at the level of "
            "tokens is whole already",
            "set level to token, or prefixes to own",
        )
    if level == "response" and divergence == "forward":
        return Misfit(
            "level",
            "the forward KL of whole responses is that of the expert's own prefixes, token by "
            "token",
            "set level to token and prefixes to expert, or divergence to reverse",
        )
    if level == "response" and divergence == "constant":
        return Misfit(
            "level",
            "a constant advantage has no cost that comes later",
            "set level to token",
        )
    if level == "token" and divergence == "log-density":
        return Misfit(
            "level",
            "the expert's density is that of a whole response (Definition 3)",
            "set level to response",
        )
    if level == "response" and responses_per_prompt < 2:
        return Misfit(
            "responses_per_prompt",
            "level response compares the responses to one prompt, and there is one",
            "ask for at least 2; 8 were tried",
        )
    if prefixes == "expert" and responses_per_prompt > 1:
        return Misfit(
            "responses_per_prompt",
            "the expert's demonstrations say how many responses a prompt has",
            "leave it out, or set prefixes to own",
        )
    if batch_size % responses_per_prompt:
        return Misfit(
            "responses_per_prompt",
            f"the {batch_size} responses of an update do not divide into groups of "
            f"{responses_per_prompt}",
            f"choose a divisor of {batch_size}",
        )
    return None
