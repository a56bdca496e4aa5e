"""An expert's samples as the token ids that a student learns from, all of them or filtered."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from online_il.chat import messages_of, prompt_ids
from online_il.config.imitation import Filter
from online_il.ends import end_ids, trained_end
from online_il.errors import InputError
from online_il.generation.tokens import vocabulary_hash
from online_il.program.cli import log
from online_il.records import Samples, provenance, read_table
from online_il.training.common import Demonstration, shuffled_passes

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


REMEDIES = {
    "learnable": "raise the count of demonstrations or the weight of the learnable part",
    "correct": "raise the count of demonstrations or take an expert that is right more often",
}


def filtered(samples: pd.DataFrame, wanted: Filter, source: str) -> pd.DataFrame:
    """Keep the rows of `samples` that `wanted` names, in their order; how many is in the log.

    `learnable` keeps responses of which a learnable part of the expert has a posterior share above
    a half, `correct` those with full reward (rejection sampling). Raises `InputError`, naming
    `source`, where none is left or the expert has no parts.
    """
    if wanted == "none":
        return samples
    if wanted == "learnable" and ("share_learnable" not in samples):
        raise InputError(
            f"{source}: its expert has no parts, so none of them is learnable; set filter to none "
            "or correct, or imitate an expert of kind mixture"
        )
    kept = samples[
        samples["share_learnable"] > 0.5 if wanted == "learnable" else samples["correct"]
    ]
    if kept.empty:
        raise InputError(
            f"{source}: filter {wanted} keeps none of its {len(samples)} demonstrations; "
            f"{REMEDIES[wanted]}, or set filter to none"
        )
    log("demonstrations", filter=wanted, kept=len(kept), left_out=len(samples) - len(kept))
    return kept.reset_index(drop=True)


def prefixes(
    base: Path,
    tokenizer: "PreTrainedTokenizerFast",
    prompts: "pd.Series[str]",
    table: Path,
    count: int,
    seed: int,
    longest: int | None,
) -> list[dict[str, Any]]:
    """Read `count` rows with `prompt` (text) and `response` (token ids), in the order of SFT.

    Those with prompts of more than `longest` tokens are left out, and counted in the log. Raises
    `InputError` where none is left.
    """
    names = read_table(table, Samples)["prompt_id"]
    found = list(demonstrations(base, tokenizer, prompts, table))
    rows = [
        {"prompt": prompts[name], "response": row.response}
        for name, row in zip(names, found, strict=True)
        if longest is None or len(row.prompt) <= longest
    ]
    if len(rows) < len(found):
        log("prefixes", kept=len(rows), longer_than_max_prompt_tokens=len(found) - len(rows))
    if not rows:
        raise InputError(f"{table}: no demonstration with a prompt of at most {longest} tokens")
    return shuffled_passes(rows, count, seed)


def demonstrations(
    base: Path,
    tokenizer: "PreTrainedTokenizerFast",
    prompts: "pd.Series[str]",
    table: Path,
    wanted: Filter = "none",
) -> Iterator[Demonstration]:
    """Yield an expert's samples as token ids for the student that starts from `base`.

    `prompts` are the texts by prompt_id, `table` is the file of samples, of which `wanted` says
    which are learned from.
    """
    samples = filtered(read_table(table, Samples), wanted, str(table))
    # A prompt stands there once and is answered often.
    prompts = prompts[prompts.index.isin(samples["prompt_id"])]
    ids = dict(zip(prompts.index, prompt_ids(tokenizer, list(prompts)), strict=True))
    vocabulary = provenance(table).get("vocabulary_hash")
    shares_tokens = vocabulary is not None and vocabulary == vocabulary_hash(base)
    responses = _responses(base, tokenizer, prompts, samples, shares_tokens)
    for prompt_id, response in zip(samples["prompt_id"], responses, strict=True):
        yield Demonstration(ids[prompt_id], response)


def _responses(
    base: Path,
    tokenizer: "PreTrainedTokenizerFast",
    prompts: "pd.Series[str]",
    samples: pd.DataFrame,
    shares_tokens: bool,
) -> Iterator[list[int]]:
    """Give each response the token that ends it; one that was cut off gets none.

    The ids that were sampled are taken where the expert's tokens are the base's: encoded again,
    its text may give others.
    """
    conversations = {name: messages_of(text) is not None for name, text in prompts.items()}
    ends = {kind: trained_end(base, conversation=kind) for kind in set(conversations.values())}
    has_ids = shares_tokens and "token_ids" in samples
    sampled = samples["token_ids"] if has_ids else [None] * len(samples)
    policy_ends = end_ids(base)
    for prompt_id, text, reason, drawn in zip(
        samples["prompt_id"], samples["text"], samples["finish_reason"], sampled, strict=True
    ):
        if drawn is None:
            response = tokenizer.encode(text, add_special_tokens=False)
        else:
            response = [int(token) for token in drawn]
            if reason == "stop" and response[-1] not in policy_ends:
                response.pop()  # An end of the expert's, which would not end the student's.
        if reason == "stop" and (not response or response[-1] not in policy_ends):
            response.append(ends[conversations[prompt_id]])
        yield response
    taken = sum(drawn is not None for drawn in sampled)
    log("demonstrations", sampled_ids=taken, encoded_again=len(samples) - taken)
