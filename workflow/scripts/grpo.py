"""Train an expert from the base with GRPO on the task's reward (paper, Section 2.1)."""

import argparse
import json
from typing import Any

from online_il.cli import main, parser
from online_il.config.training import Grpo
from online_il.grading import reward
from online_il.models import load_model, load_tokenizer
from online_il.records import Prompts, read_table
from online_il.training import grpo
from online_il.training.common import arguments as trainer_arguments
from online_il.training.common import passes
from online_il.training.publish import add_training, kept, publish


def rows(options: argparse.Namespace, count: int) -> list[dict[str, Any]]:
    """Training prompts in the order in which they are used."""
    table = read_table(options.prompts, Prompts)
    train = table[table["split"] == "train"]
    prompts = [
        {"prompt": text, **json.loads(answer)}
        for text, answer in zip(train["text"], train["answer"], strict=True)
    ]
    return passes(prompts, count, options.seed)


def run(options: argparse.Namespace) -> None:
    settings = Grpo.model_validate_json(options.settings)
    recorder = grpo.train(
        load_model(options.base),
        load_tokenizer(options.base),
        rows(options, options.steps * settings.prompts_per_step),
        reward,
        settings,
        engine=options.engine,
        arguments=trainer_arguments(
            output=options.state,
            updates=options.steps * settings.updates_per_step,
            learning_rate=options.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
        ),
        checkpoints=kept(options),
        folder=options.checkpoints,
        progress=options.progress,
    )
    publish(recorder, options, method="grpo", expert=None, expert_hash=None)


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_training(arguments)
    arguments.add_argument("--engine", required=True, help="generation engine")
    main(run, arguments)
