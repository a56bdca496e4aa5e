"""Train the miniature's base model on traces of an imperfect searcher and on the table of facts.

Stands in for the paper's pretrained models. Every sequence is drawn afresh from the instances of
train and pretraining; no test prompt is seen.
"""

import argparse
from pathlib import Path

from online_il.config.training import Pretraining
from online_il.models import new_model, word_tokenizer
from online_il.program.cli import add_run, log, main, parser
from online_il.provenance import file_hash
from online_il.tasks import miniature
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.publish import add_saving, publish_base, saving_of
from online_il.training.traces import sequences


def run(options: argparse.Namespace) -> None:
    settings = Pretraining.model_validate_json(options.settings)
    rows = sequences(options.prompts, settings, options.seed)
    log("training set ready", sequences=len(rows), tokens=sum(len(r.response) for r in rows))
    tokenizer = word_tokenizer(miniature.VOCABULARY)
    model = new_model(settings.architecture, tokenizer, settings.max_length, options.seed)
    size = settings.batch_size
    saving = saving_of(options, prompts=file_hash(options.prompts))
    recorder = supervised.train(
        model,
        tokenizer,
        rows,
        [list(range(u * size, (u + 1) * size)) for u in range(settings.updates)],
        arguments=trainer_arguments(
            output=saving.folder / "trainer",
            updates=settings.updates,
            learning_rate=settings.learning_rate,
            max_grad_norm=1.0,
            seed=options.seed,
        )
        | {
            "lr_scheduler_type": "cosine_with_min_lr",
            "lr_scheduler_kwargs": {"min_lr_rate": 0.1},
            "warmup_steps": settings.warmup_updates,
            "adam_beta2": 0.98,
            "weight_decay": 0.01,
        },
        micro_batch_size=settings.micro_batch_size,
        checkpoints=[settings.updates],
        saving=saving,
        progress=options.progress,
    )
    publish_base(
        options,
        source=saving.published / f"step{settings.updates}",
        method="pretrain",
        settings=settings.model_dump(),
        rows=recorder.rows,
        prompts_hash=file_hash(options.prompts),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--settings", required=True, help="settings of the base, JSON")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--checkpoints", type=Path, required=True, help="folder to write")
    arguments.add_argument("--training", type=Path, required=True, help="training table to write")
    arguments.add_argument("--record", type=Path, required=True, help="manifest to write")
    add_saving(arguments)
    main(run, arguments)
