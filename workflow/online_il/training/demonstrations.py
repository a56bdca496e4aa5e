"""An expert's samples as the token ids that SFT learns from."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from online_il.chat import messages_of, prompt_ids
from online_il.ends import end_ids, trained_end
from online_il.generation.tokens import vocabulary_hash
from online_il.program.cli import log
from online_il.records import Samples, provenance, read_table
from online_il.training.supervised import Demonstration

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def demonstrations(
    base: Path,
    tokenizer: "PreTrainedTokenizerFast",
    prompts: "pd.Series[str]",
    table: Path,
) -> list[Demonstration]:
    """Read an expert's samples as token ids for the student that starts from `base`.

    `prompts` are the texts by prompt_id, `table` is the file of samples.
    """
    samples = read_table(table, Samples)
    # A prompt stands there once and is answered often.
    prompts = prompts[prompts.index.isin(samples["prompt_id"])]
    ids = dict(zip(prompts.index, prompt_ids(tokenizer, list(prompts)), strict=True))
    vocabulary = provenance(table).get("vocabulary_hash")
    shares_tokens = vocabulary is not None and vocabulary == vocabulary_hash(base)
    responses = _responses(base, tokenizer, prompts, samples, shares_tokens)
    return [
        Demonstration(ids[prompt_id], response)
        for prompt_id, response in zip(samples["prompt_id"], responses, strict=True)
    ]


def _responses(
    base: Path,
    tokenizer: "PreTrainedTokenizerFast",
    prompts: "pd.Series[str]",
    samples: pd.DataFrame,
    shares_tokens: bool,
) -> list[list[int]]:
    """Give each response the token that ends it; one that was cut off gets none.

    The ids that were sampled are taken where the expert's tokens are the base's: encoded again,
    its text may give others.
    """
    conversations = {name: messages_of(text) is not None for name, text in prompts.items()}
    ends = {kind: trained_end(base, conversation=kind) for kind in set(conversations.values())}
    has_ids = shares_tokens and "token_ids" in samples
    sampled = samples["token_ids"] if has_ids else [None] * len(samples)
    learned, policy_ends = [], end_ids(base)
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
        learned.append(response)
    taken = sum(drawn is not None for drawn in sampled)
    log("demonstrations", sampled_ids=taken, encoded_again=len(learned) - taken)
    return learned
