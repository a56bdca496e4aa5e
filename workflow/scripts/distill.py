"""Train a student from the base by on-policy distillation from an expert (paper, Equation 5)."""

import argparse
from pathlib import Path

from online_il.cli import main, newest_step, parser
from online_il.config.training import Distill
from online_il.models import WEIGHTS, load_model, load_tokenizer
from online_il.provenance import file_hash
from online_il.records import InputError, Prompts, read_table
from online_il.training import distill
from online_il.training.common import arguments as trainer_arguments
from online_il.training.common import passes
from online_il.training.publish import add_training, kept, publish


def rows(options: argparse.Namespace, count: int) -> list[dict[str, str]]:
    """Training prompts in the order in which they are used."""
    table = read_table(options.prompts, Prompts)
    prompts = [{"prompt": text} for text in table["text"][table["split"] == "train"]]
    return passes(prompts, count, options.seed)


def run(options: argparse.Namespace) -> None:
    settings = Distill.model_validate_json(options.settings)
    expert = newest_step(options.expert_checkpoints)
    tokenizer = load_tokenizer(options.base)
    # The loss compares probabilities token id by token id, so the ids must mean the same.
    if tokenizer.get_vocab() != load_tokenizer(expert).get_vocab():
        raise InputError(f"{options.base} and {expert}: their tokenizers differ; distill needs one")
    recorder = distill.train(
        load_model(options.base),
        load_model(expert),
        tokenizer,
        rows(options, options.steps * settings.batch_size),
        settings,
        engine=options.engine,
        arguments=trainer_arguments(
            output=options.state,
            updates=options.steps,
            learning_rate=options.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
        ),
        checkpoints=kept(options),
        folder=options.checkpoints,
        progress=options.progress,
    )
    publish(
        recorder,
        options,
        method="distill",
        expert=options.expert,
        expert_hash=file_hash(expert / WEIGHTS),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_training(arguments)
    arguments.add_argument("--expert", required=True, help="name of the expert")
    arguments.add_argument("--expert-checkpoints", type=Path, required=True, help="its folder")
    arguments.add_argument("--engine", required=True, help="generation engine")
    main(run, arguments)
