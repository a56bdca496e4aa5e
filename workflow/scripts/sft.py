"""Train a student from the base on an expert's demonstrations (paper, Equation 3)."""

from pathlib import Path

from pydantic import Field, Json

from online_il.config.sft import Sft
from online_il.models import load_model, load_tokenizer, policy_hash
from online_il.program.cli import main
from online_il.provenance import file_hash
from online_il.records import Prompts, read_table
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.demonstrations import demonstrations
from online_il.training.publish import TrainingOptions, publish, saving_of, steps_to_publish
from online_il.training.token_file import on_disk


class Options(TrainingOptions):
    settings: Json[Sft] = Field(description="settings of the method, JSON")
    expert: str = Field(description="name of the expert")
    demonstrations: Path = Field(description="its samples")


def run(options: Options) -> None:
    settings = options.settings
    tokenizer = load_tokenizer(options.base)
    prompts = read_table(options.prompts, Prompts).set_index("prompt_id")["text"]
    expert_hash = file_hash(options.demonstrations)
    saving = saving_of(
        options,
        base=policy_hash(options.base),
        prompts=file_hash(options.prompts),
        expert=expert_hash,
    )
    rows = on_disk(
        saving,
        lambda _: demonstrations(
            options.base, tokenizer, prompts, options.demonstrations, settings.filter
        ),
    )
    recorder = supervised.train(
        load_model(options.base, options.dtype),
        tokenizer,
        rows,
        supervised.plan(len(rows), options.steps, settings.batch_size, options.seed),
        arguments=trainer_arguments(
            output=saving.trainer_output,
            updates=options.steps,
            learning_rate=options.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
            hardware=options.hardware,
            precision=options.precision,
            schedule=settings.learning_rate_schedule,
        ),
        micro_batch_size=settings.micro_batch_size,
        checkpoints=steps_to_publish(options),
        saving=saving,
        progress=options.progress,
        lora=settings.lora,
    )
    publish(recorder, saving, options, method="sft", expert=options.expert, expert_hash=expert_hash)


if __name__ == "__main__":
    main(run, Options, __doc__)
