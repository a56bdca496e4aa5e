"""Fine-tune a pretrained model on solved problems: the base of GSM8K (paper, D.2: OpenR1-Math).

Each row is a conversation; the loss is on the last answer alone. Rows longer than the longest
sequence allowed are left out and counted, and so are rows that ask what a benchmark asks.
"""

import argparse
import json
from pathlib import Path

from online_il import hub
from online_il.config.finetuning import Finetuning
from online_il.errors import InputError
from online_il.generation.chat import as_text, prompt_ids
from online_il.generation.tokens import trained_end
from online_il.models import load_model, load_tokenizer, policy_hash, weights_hash
from online_il.program.cli import add_run, log, main, parser
from online_il.provenance import file_hash, files_hash
from online_il.records import Prompts, read_table
from online_il.tasks.asked import Asked
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.publish import add_saving, publish_base, saving_of


class Message(hub.Row):
    """One turn of a conversation."""

    role: str
    content: str


class Conversation(hub.Row):
    """A row of OpenR1-Math: a question and a solution."""

    messages: list[Message]


def asked(prompts: Path) -> Asked:
    """The questions of the task's benchmarks, which the base must not learn from."""
    table = read_table(prompts, Prompts)
    tested = table[table["split"] != "train"]
    answers = map(json.loads, tested["answer"])
    return Asked(zip(tested["split"], tested["text"], answers, strict=True))


def rows(
    options: argparse.Namespace, settings: Finetuning
) -> tuple[list[supervised.Row], dict[str, int]]:
    """The conversations as token ids, and how many were left out and why."""
    tokenizer = load_tokenizer(options.model)
    tested = asked(options.prompts)
    end = trained_end(options.model, conversation=True)
    found: list[supervised.Row] = []
    left = {"longer_than_max_length": 0, "asked_in_a_benchmark": 0}
    for number, row in enumerate(hub.rows(settings.dataset, Conversation)):
        messages = [message.model_dump() for message in row.messages]
        if len(messages) < 2 or messages[-1]["role"] != "assistant":
            raise InputError(
                f"{settings.dataset.repo}, row {number}: `messages` does not end with an answer"
            )
        if any(message["content"] in tested for message in messages[:-1]):
            left["asked_in_a_benchmark"] += 1
            continue
        prompt = prompt_ids(tokenizer, [as_text(messages[:-1])])[0]
        answer = tokenizer.encode(messages[-1]["content"], add_special_tokens=False)
        answer.append(end)
        if len(prompt) + len(answer) > settings.max_length:
            left["longer_than_max_length"] += 1
            continue
        found.append(supervised.Row(prompt, answer))
    if len(found) < settings.batch_size:
        raise InputError(
            f"{settings.dataset.repo}: {len(found)} rows are left, fewer than one update of "
            f"{settings.batch_size} takes ({left}); raise finetuning.max_length"
        )
    return found, left


def run(options: argparse.Namespace) -> None:
    settings = Finetuning.model_validate_json(options.settings)
    source = options.model / "step0"
    options.model = source
    found, left = rows(options, settings)
    log("training set ready", sequences=len(found), **left)
    tokenizer = load_tokenizer(source)
    saving = saving_of(
        options,
        base=policy_hash(source),
        prompts=file_hash(options.prompts),
        rows=files_hash(hub.files(settings.dataset)),
    )
    recorder = supervised.train(
        load_model(source, "float32"),
        tokenizer,
        found,
        supervised.plan(len(found), settings.updates, settings.batch_size, options.seed),
        arguments=trainer_arguments(
            output=saving.folder / "trainer",
            updates=settings.updates,
            learning_rate=settings.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
            hardware=options.hardware,
        ),
        micro_batch_size=settings.micro_batch_size,
        checkpoints=[settings.updates],
        saving=saving,
        progress=options.progress,
    )
    publish_base(
        options,
        source=saving.published / f"step{settings.updates}",
        method="finetune",
        settings=json.loads(options.settings) | {"left_out": left, "hardware": options.hardware},
        rows=recorder.rows,
        prompts_hash=file_hash(options.prompts),
        initial_weights_hash=weights_hash(source),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--settings", required=True, help="settings of the training, JSON")
    arguments.add_argument("--model", type=Path, required=True, help="model to start from")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--checkpoints", type=Path, required=True, help="folder to write")
    arguments.add_argument("--training", type=Path, required=True, help="training table to write")
    arguments.add_argument("--record", type=Path, required=True, help="manifest to write")
    add_saving(arguments)
    main(run, arguments)
