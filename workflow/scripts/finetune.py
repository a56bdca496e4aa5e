"""Fine-tune a pretrained model on solved problems: the base of GSM8K (paper, D.2: OpenR1-Math).

Each row is a conversation; the loss is on the last answer alone. Rows longer than the longest
sequence allowed are left out and counted, and so are rows that ask what a benchmark asks. A
Countdown in English is fine-tuned on traces of an imperfect searcher.
"""

from pathlib import Path
from typing import Any

from pydantic import Field, Json

from online_il import hub
from online_il.config.finetuning import Finetuning
from online_il.layout import step
from online_il.models import load_model, load_tokenizer, policy_hash, weights_hash
from online_il.program.cli import log, main
from online_il.provenance import file_hash, files_hash
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.english_traces import traces
from online_il.training.publish import SavingOptions, publish_base, saving_of
from online_il.training.solutions import solutions
from online_il.training.token_file import on_disk


class Options(SavingOptions):
    settings: Json[Finetuning] = Field(description="settings of the training, JSON")
    model: Path = Field(description="model to start from")
    origin: Json[dict[str, Any]] | None = Field(
        None, description="what that model is, JSON: its package or repository, and which of it"
    )


def run(options: Options) -> None:
    settings, source = options.settings, step(options.model)
    tokenizer = load_tokenizer(source)
    saving = saving_of(
        options,
        base=policy_hash(source),
        prompts=file_hash(options.prompts),
        **({"rows": files_hash(hub.files(settings.dataset))} if settings.dataset else {}),
    )
    rows = on_disk(
        saving,
        lambda left_out: (
            traces(source, options.prompts, settings, options.seed)
            if settings.dataset is None
            else solutions(source, options.prompts, settings, left_out)
        ),
    )
    log("training set ready", sequences=len(rows), **rows.left_out)
    recorder = supervised.train(
        load_model(source, "float32"),
        tokenizer,
        rows,
        supervised.plan(len(rows), settings.updates, settings.batch_size, options.seed),
        arguments=trainer_arguments(
            output=saving.trainer_output,
            updates=settings.updates,
            learning_rate=settings.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
            hardware=options.hardware,
            precision=options.precision,
        ),
        micro_batch_size=settings.micro_batch_size,
        checkpoints=[settings.updates],
        saving=saving,
        progress=options.progress,
    )
    publish_base(
        options,
        source=step(saving.published, settings.updates),
        method="finetune",
        settings={
            **settings.model_dump(),
            "left_out": rows.left_out,
            "hardware": options.hardware,
            **({"origin": options.origin} if options.origin else {}),
        },
        rows=recorder.rows,
        prompts_hash=file_hash(options.prompts),
        initial_weights_hash=weights_hash(source),
    )


if __name__ == "__main__":
    main(run, Options, __doc__)
