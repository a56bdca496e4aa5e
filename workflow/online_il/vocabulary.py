"""What student and expert must share so that probabilities compare token id by token id.

That is the tokens, the ends of a response and how prompts are written. Their logits may differ in
width where the rows beyond the tokenizer are padding, as Qwen2.5 has it: 151,665 tokens, 151,936
rows up to 3B and 152,064 from 7B on. Rows that one of them lacks are cut off, and a softmax over
the rest is the old one renormalised (`online_il.models.cut_vocabulary`).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from online_il.chat import probes
from online_il.ends import chat_template, end_ids, special_tokens
from online_il.errors import InputError


class Difference(NamedTuple):
    """Something that keeps a student from being distilled: what it is, what to do."""

    what: str
    remedy: str


WIDTH_REMEDY = "choose an expert whose logits have a row for each token, or use sft"
TEMPLATE_REMEDY = (
    "the expert would read prompts of a form that it does not know: give both one `chat_template`, "
    "or use sft"
)


def kept_rows(tokens: Mapping[int, str], widths: Sequence[int]) -> int:
    """Count the rows of logits that models of these widths have in common.

    `tokens` are the tokens of both by their ids. Raises `InputError` where one of them has no row
    in some model: then what would be cut off is no padding.
    """
    kept = min(widths)
    lost = sorted(index for index in tokens if index >= kept)
    if lost:
        raise InputError(
            f"have logits {' and '.join(map(str, widths))} wide, and the rows from {kept} on are "
            f"not all padding: id {lost[0]} is {tokens[lost[0]]!r} ({len(lost)} such tokens)"
        )
    return kept


CUT_STUDENT = Difference(
    "the student's logits are wider than its expert's, and vLLM, which writes its responses, reads "
    "all of them",
    "set generation.engine to transformers, or prefixes to expert",
)


def other_ends(student: Path, expert: Path) -> Difference | None:
    """Compare the tokens that end a response."""
    ours, theirs = sorted(end_ids(student)), sorted(end_ids(expert))
    if ours == theirs:
        return None
    return Difference(
        f"end a response with different tokens, ids {ours} and {theirs}",
        "a response would go on for one where the other ends it: choose an expert with the "
        "student's ends, set eos_token_id in the generation_config.json of a local copy that its "
        "`folder` names, or use sft",
    )


def other_prompts(
    student: Path, expert: Path, templates: tuple[str | None, str | None] = (None, None)
) -> Difference | None:
    """Compare what chat templates make of a conversation; nothing where a model has none.

    `templates` stand in the place of the models' own; None for those.
    """
    folders = (student, expert)
    used = [own or chat_template(one) for own, one in zip(templates, folders, strict=True)]
    special = [special_tokens(folder) for folder in folders]
    if used[0] == used[1] and special[0] == special[1]:
        return None
    if used[0] is None or used[1] is None:
        return None
    written = [probes(used[0], special[0]), probes(used[1], special[1])]
    if written[0] == written[1]:
        return None
    return Difference(
        "write prompts differently: their chat templates make "
        f"{_first_difference(*written)} of one question",
        TEMPLATE_REMEDY,
    )


def _first_difference(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Show the first two texts that differ, from a little before they do."""
    one, other = next(pair for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1])
    at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    start = max(0, (min(len(one), len(other)) if at is None else at) - 20)
    return f"{one[start : start + 60]!r} and {other[start : start + 60]!r}"
