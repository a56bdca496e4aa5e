"""Train an expert from the base with GRPO on the task's reward (paper, Section 2.1)."""

from pydantic import Field, Json

from online_il.config.generation import Generation
from online_il.config.grpo import Grpo
from online_il.grading import reward
from online_il.models import load_model, load_tokenizer, policy_hash
from online_il.program.cli import main
from online_il.provenance import file_hash
from online_il.training import grpo
from online_il.training.common import arguments as trainer_arguments
from online_il.training.prompts import training_prompts
from online_il.training.publish import TrainingOptions, publish, saving_of, steps_to_publish
from online_il.training.rollouts import check_engine, shared


class Options(TrainingOptions):
    settings: Json[Grpo] = Field(description="settings of the method, JSON")
    generation: Json[Generation] = Field(description="settings of the engine, JSON")
    colocated_share: float | None = Field(
        None, description="share of a GPU for vLLM, where the settings say none"
    )


def run(options: Options) -> None:
    settings = options.settings
    generation = shared(options.generation, options.colocated_share)
    check_engine(generation, options.hardware)
    tokenizer = load_tokenizer(options.base)
    saving = saving_of(options, base=policy_hash(options.base), prompts=file_hash(options.prompts))
    recorder = grpo.train(
        load_model(options.base, options.dtype),
        tokenizer,
        training_prompts(
            options.prompts,
            options.base,
            tokenizer,
            options.steps * settings.prompts_per_step,
            options.seed,
            settings.max_prompt_tokens,
        ),
        reward,
        settings,
        generation=generation,
        arguments=trainer_arguments(
            output=saving.trainer_output,
            updates=options.steps * settings.updates_per_step,
            learning_rate=options.learning_rate,
            max_grad_norm=settings.max_grad_norm,
            seed=options.seed,
            hardware=options.hardware,
            precision=options.precision,
            schedule=settings.learning_rate_schedule,
        ),
        checkpoints=steps_to_publish(options),
        saving=saving,
        progress=options.progress,
    )
    publish(recorder, saving, options, method="grpo", expert=None, expert_hash=None)


if __name__ == "__main__":
    main(run, Options, __doc__)
