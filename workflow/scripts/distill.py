"""Train a student from the base by on-policy distillation from an expert (paper, Equation 5)."""

import argparse
from pathlib import Path

from online_il.config.distill import Distill
from online_il.config.generation import Generation
from online_il.errors import InputError
from online_il.models import (
    form_hash,
    inference_dtype,
    load_model,
    load_tokenizer,
    newest_step,
    policy_hash,
    weights_hash,
)
from online_il.program.cli import main, parser
from online_il.provenance import file_hash
from online_il.training import distill
from online_il.training.common import arguments as trainer_arguments
from online_il.training.prompts import training_prompts
from online_il.training.publish import add_training, kept, publish, saving_of
from online_il.training.rollouts import check_engine


def run(options: argparse.Namespace) -> None:
    settings = Distill.model_validate_json(options.settings)
    generation = Generation.model_validate_json(options.generation)
    check_engine(generation, options.hardware)
    expert = newest_step(options.expert_checkpoints)
    tokenizer = load_tokenizer(options.base)
    # The loss compares probabilities token id by token id, so the ids must mean the same.
    if tokenizer.get_vocab() != load_tokenizer(expert).get_vocab():
        raise InputError(f"{options.base} and {expert}: their tokenizers differ; distill needs one")
    student = load_model(options.base, "float32")
    teacher = load_model(expert, inference_dtype(options.hardware == "gpu"))
    widths = student.config.vocab_size, teacher.config.vocab_size
    if widths[0] != widths[1]:
        raise InputError(
            f"{options.base} and {expert}: their logits are {widths[0]} and {widths[1]} wide; "
            "distill needs one width"
        )
    expert_hash = weights_hash(expert)
    saving = saving_of(
        options,
        base=policy_hash(options.base),
        prompts=file_hash(options.prompts),
        expert=expert_hash,
        expert_form=form_hash(expert),
    )
    recorder = distill.train(
        student,
        teacher,
        tokenizer,
        training_prompts(
            options.prompts,
            options.base,
            tokenizer,
            options.steps * settings.batch_size,
            options.seed,
            settings.max_prompt_tokens,
        ),
        settings,
        generation=generation,
        arguments=trainer_arguments(
            output=saving.folder / "trainer",
            updates=options.steps,
            learning_rate=options.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
            hardware=options.hardware,
        ),
        checkpoints=kept(options),
        saving=saving,
        progress=options.progress,
    )
    publish(
        recorder, saving, options, method="distill", expert=options.expert, expert_hash=expert_hash
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_training(arguments)
    arguments.add_argument("--expert", required=True, help="name of the expert")
    arguments.add_argument("--expert-checkpoints", type=Path, required=True, help="its folder")
    arguments.add_argument("--generation", required=True, help="settings of the engine, JSON")
    main(run, arguments)
