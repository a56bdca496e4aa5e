"""Train a student from the base on an expert's demonstrations (paper, Equation 3)."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from online_il.config.sft import Sft
from online_il.generation.chat import messages_of, prompt_ids
from online_il.generation.tokens import end_ids, trained_end, vocabulary_hash
from online_il.models import load_model, load_tokenizer, policy_hash
from online_il.program.cli import log, main, parser
from online_il.provenance import file_hash
from online_il.records import Prompts, Samples, provenance, read_table
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.publish import add_training, kept, publish, saving_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def responses(
    options: argparse.Namespace,
    tokenizer: "PreTrainedTokenizerFast",
    prompts: "pd.Series[str]",
    samples: pd.DataFrame,
) -> list[list[int]]:
    """The token ids of the demonstrations, each with its end; one that was cut off has none.

    The ids that were sampled, where the expert's tokens are the base's: encoded again, its text
    may give others. `prompts` are the texts by prompt_id.
    """
    conversations = {name: messages_of(text) is not None for name, text in prompts.items()}
    ends = {
        kind: trained_end(options.base, conversation=kind) for kind in set(conversations.values())
    }
    known = provenance(options.demonstrations).get("vocabulary_hash")
    shared = known is not None and known == vocabulary_hash(options.base)
    sampled = samples["token_ids"] if shared and "token_ids" in samples else [None] * len(samples)
    learned, policy_ends = [], end_ids(options.base)
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


def run(options: argparse.Namespace) -> None:
    settings = Sft.model_validate_json(options.settings)
    tokenizer = load_tokenizer(options.base)
    prompts = read_table(options.prompts, Prompts).set_index("prompt_id")["text"]
    samples = read_table(options.demonstrations, Samples)
    # A prompt stands there once and is answered often.
    prompts = prompts[prompts.index.isin(samples["prompt_id"])]
    ids = dict(zip(prompts.index, prompt_ids(tokenizer, list(prompts)), strict=True))
    learned = responses(options, tokenizer, prompts, samples)
    rows = [
        supervised.Row(ids[prompt_id], response)
        for prompt_id, response in zip(samples["prompt_id"], learned, strict=True)
    ]
    expert_hash = file_hash(options.demonstrations)
    saving = saving_of(
        options,
        base=policy_hash(options.base),
        prompts=file_hash(options.prompts),
        expert=expert_hash,
    )
    recorder = supervised.train(
        load_model(options.base, "float32"),
        tokenizer,
        rows,
        supervised.plan(len(rows), options.steps, settings.batch_size, options.seed),
        arguments=trainer_arguments(
            output=saving.folder / "trainer",
            updates=options.steps,
            learning_rate=options.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
            hardware=options.hardware,
        ),
        micro_batch_size=settings.micro_batch_size,
        checkpoints=kept(options),
        saving=saving,
        progress=options.progress,
    )
    publish(recorder, saving, options, method="sft", expert=options.expert, expert_hash=expert_hash)


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_training(arguments)
    arguments.add_argument("--expert", required=True, help="name of the expert")
    arguments.add_argument("--demonstrations", type=Path, required=True, help="its samples")
    main(run, arguments)
