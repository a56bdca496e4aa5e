"""Train the miniature's base model on traces of an imperfect searcher and on the table of facts.

Stands in for the paper's pretrained models. Every sequence is drawn afresh from the instances of
train and pretraining; no test prompt is seen.
"""

from pydantic import Field, Json

from online_il.config.pretraining import Pretraining
from online_il.layout import step
from online_il.models import new_model, word_tokenizer
from online_il.program.cli import log, main
from online_il.provenance import file_hash
from online_il.tasks import miniature
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.publish import SavingOptions, publish_base, saving_of
from online_il.training.traces import sequences


class Options(SavingOptions):
    settings: Json[Pretraining] = Field(description="settings of the base, JSON")


def run(options: Options) -> None:
    settings = options.settings
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
            output=saving.trainer_output,
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
        source=step(saving.published, settings.updates),
        method="pretrain",
        settings=settings.model_dump(),
        rows=recorder.rows,
        prompts_hash=file_hash(options.prompts),
    )


if __name__ == "__main__":
    main(run, Options, __doc__)
