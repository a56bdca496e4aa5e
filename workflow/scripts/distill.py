"""Train a student by distillation from an expert's next-token probabilities (paper, Equation 5)."""

from pathlib import Path
from typing import Any

from pydantic import Field, Json

from online_il.config.distill import Distill
from online_il.config.generation import Generation
from online_il.errors import InputError
from online_il.experts.opening import opened_mixture
from online_il.experts.teacher import Teacher
from online_il.models import (
    cut_vocabulary,
    form_hash,
    inference_dtype,
    is_mixture,
    load_model,
    load_tokenizer,
    newest_step,
    policy_hash,
    weights_hash,
)
from online_il.program.cli import log, main
from online_il.provenance import file_hash
from online_il.records import Prompts, read_table
from online_il.training import distill
from online_il.training.common import arguments as trainer_arguments
from online_il.training.demonstrations import prefixes
from online_il.training.prompts import training_prompts
from online_il.training.publish import TrainingOptions, publish, saving_of, steps_to_publish
from online_il.training.rollouts import check_engine, shared
from online_il.vocabulary import (
    CUT_STUDENT,
    WIDTH_REMEDY,
    kept_rows,
    other_ends,
    other_prompts,
)


class Options(TrainingOptions):
    settings: Json[Distill] = Field(description="settings of the method, JSON")
    expert: str = Field(description="name of the expert")
    expert_checkpoints: Path = Field(description="its folder")
    demonstrations: Path | None = Field(None, description="its samples, for its prefixes")
    generation: Json[Generation] = Field(description="settings of the engine, JSON")
    colocated_share: float | None = Field(
        None, description="share of a GPU for vLLM, where the settings say none"
    )


def run(options: Options) -> None:
    settings = options.settings
    generation = shared(options.generation, options.colocated_share)
    check_engine(generation, options.hardware)
    expert = newest_step(options.expert_checkpoints)
    tokenizer = load_tokenizer(options.base)
    # The loss compares probabilities token id by token id, so the ids must mean the same.
    if tokenizer.get_vocab() != load_tokenizer(expert).get_vocab():
        raise InputError(f"{options.base} and {expert}: their tokenizers differ; distill needs one")
    for compare in (other_ends, other_prompts):
        if difference := compare(options.base, expert):
            raise InputError(f"{options.base} and {expert} {difference.what}; {difference.remedy}")
    student = load_model(options.base, options.dtype)
    if is_mixture(expert):
        single = options.hardware == "cpu" and options.precision is None
        teacher: Any = Teacher(opened_mixture(expert, generation), single=single)
    else:
        teacher = load_model(expert, inference_dtype(options.hardware == "gpu"))
    fit_widths(options, expert, student, teacher, tokenizer)
    expert_hash = weights_hash(expert)
    inputs = {"expert": expert_hash, "expert_form": form_hash(expert)}
    count = options.steps * settings.batch_size // settings.responses_per_prompt
    if options.demonstrations:
        texts = read_table(options.prompts, Prompts).set_index("prompt_id")["text"]
        inputs["demonstrations"] = file_hash(options.demonstrations)
        rows = prefixes(
            options.base,
            tokenizer,
            texts,
            options.demonstrations,
            count,
            options.seed,
            settings.max_prompt_tokens,
        )
    else:
        rows = training_prompts(
            options.prompts,
            options.base,
            tokenizer,
            count,
            options.seed,
            settings.max_prompt_tokens,
        )
    saving = saving_of(
        options, base=policy_hash(options.base), prompts=file_hash(options.prompts), **inputs
    )
    recorder = distill.train(
        student,
        teacher,
        tokenizer,
        rows,
        settings,
        generation=generation,
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
        checkpoints=steps_to_publish(options),
        saving=saving,
        progress=options.progress,
    )
    publish(
        recorder, saving, options, method="distill", expert=options.expert, expert_hash=expert_hash
    )


def fit_widths(options: Options, expert: Path, student: Any, teacher: Any, tokenizer: Any) -> None:
    """Cut rows of padding off the wider of student and expert. Raises `InputError` for others."""
    pair = f"{options.base} and {expert}"
    widths = student.config.vocab_size, teacher.config.vocab_size
    if widths[0] == widths[1]:
        return
    if is_mixture(expert):
        raise InputError(
            f"{pair}: their logits are {widths[0]} and {widths[1]} wide; a mixture needs the "
            "student's width"
        )
    try:
        rows = kept_rows({index: one for one, index in tokenizer.get_vocab().items()}, widths)
    except InputError as error:
        raise InputError(f"{pair} {error}; {WIDTH_REMEDY}") from None
    writes = options.settings.prefixes == "own" and options.generation.engine == "vllm"
    if writes and widths[0] > rows:
        raise InputError(f"{pair}: {CUT_STUDENT.what}; {CUT_STUDENT.remedy}")
    for model in (student, teacher):
        cut_vocabulary(model, rows)
    log("cut", rows=rows, student=widths[0], expert=widths[1])


if __name__ == "__main__":
    main(run, Options, __doc__)
