"""Fine-tune a pretrained model on solved problems: the base of GSM8K (paper, D.2: OpenR1-Math).

Each row is a conversation; the loss is on the last answer alone. Rows longer than the longest
sequence allowed are left out and counted, and so are rows that ask what a benchmark asks.
"""

import argparse
import json
from pathlib import Path

from online_il import hub
from online_il.config.training import Finetuning
from online_il.models import load_model, load_tokenizer, policy_hash, weights_hash
from online_il.program.cli import add_run, log, main, parser
from online_il.provenance import file_hash, files_hash
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.publish import add_saving, publish_base, saving_of
from online_il.training.solutions import solutions


def run(options: argparse.Namespace) -> None:
    settings = Finetuning.model_validate_json(options.settings)
    source = options.model / "step0"
    options.model = source
    rows, left_out = solutions(source, options.prompts, settings)
    log("training set ready", sequences=len(rows), **left_out)
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
        rows,
        supervised.plan(len(rows), settings.updates, settings.batch_size, options.seed),
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
        settings=json.loads(options.settings)
        | {"left_out": left_out, "hardware": options.hardware},
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
