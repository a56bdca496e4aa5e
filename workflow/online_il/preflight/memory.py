"""Checks of memory on the GPUs and of disk: does every job fit?"""

import shutil
from pathlib import Path

from online_il.config.plan import ModelShape, Plan
from online_il.config.study import (
    Study,
    checkpoints_of,
    evaluation_of,
    method_of,
    resources_of,
    seeds_of,
)
from online_il.config.tasks import Task
from online_il.config.training import Distill, Grpo
from online_il.cost.jobs import finetuning_of
from online_il.cost.memory import GIB, PUBLISHED_BYTES, Memory, training, vllm_least
from online_il.cost.shape import parameters
from online_il.exhausted import nearest_folder
from online_il.preflight.models import shape_of
from online_il.preflight.report import Report


def training_memory(study: Study, plan: Plan, task: Task) -> dict[str, Memory]:
    """What each kind of training job of a task takes on each GPU, the worst run of its method.

    Responses are as long as they may be, prompts as the plan has them. Models without a known
    shape are left out.
    """
    found: dict[str, Memory] = {}
    shape = shape_of(task.base, study)
    if shape is None:
        return found
    prompt = plan.tokens[task.name].prompt_tokens
    if finetuning := finetuning_of(task):
        found["finetune"] = training(
            shape,
            gpus=max(1, resources_of(study, task, "finetune").gpu),
            sequences=finetuning.micro_batch_size,
            length=finetuning.max_length,
        )
    vllm = 0.0
    if study.generation.engine == "vllm":
        vllm = study.generation.colocated_share * plan.gpu_memory_gib * GIB
    experts = {expert.name: expert for expert in task.experts}
    for run in task.runs:
        settings = method_of(study, task, run.method)
        online = isinstance(settings, Grpo | Distill)
        response = evaluation_of(study, task).policy.max_new_tokens
        if isinstance(settings, Grpo | Distill):
            response = settings.max_new_tokens
        teacher = None
        if isinstance(settings, Distill):
            teacher = shape_of(experts.get(run.expert or "", task.base), study)
        estimate = training(
            shape,
            gpus=max(1, resources_of(study, task, run.method).gpu),
            sequences=settings.micro_batch_size,
            length=prompt + response,
            reference=isinstance(settings, Grpo) and settings.kl_coefficient > 0,
            teacher=teacher,
            vllm=vllm if online else 0.0,
        )
        if run.method not in found or estimate.peak > found[run.method].peak:
            found[run.method] = estimate
    return found


def check_memory(study: Study, task: Task, report: Report) -> None:
    """Every job fits the memory of the GPU that the plan names."""
    if study.hardware != "gpu":
        return
    plan = study.plan
    if plan is None:
        report.notes.append("GPU memory was not checked: no `plan` says which GPU there is")
        return
    for rule, estimate in training_memory(study, plan, task).items():
        gpus = resources_of(study, task, rule).gpu
        line = f"{estimate.peak / GIB:.0f} GiB on each of {gpus} GPUs ({estimate.sentence()})"
        if estimate.peak <= plan.gpu_memory_gib * GIB:
            report.notes.append(f"{task.name}, {rule}: about {line}")
            continue
        turn = ["micro_batch_size", f"resources.{rule}.gpu (more)"]
        if estimate.vllm:
            turn.append("generation.colocated_share")
        turn.append("base.finetuning.max_length" if rule == "finetune" else "max_new_tokens")
        report.problem(
            f"{task.name}, {rule}",
            f"takes about {line}, and {plan.gpu} has {plan.gpu_memory_gib:g}",
            f"turn {', '.join(turn)}",
        )
    if study.generation.engine == "vllm":
        for where, shape, gpus, length, share, keys in _generation(study, plan, task):
            least, given = vllm_least(shape, gpus=gpus, length=length), share * plan.gpu_memory_gib
            if least > given * GIB:
                report.problem(
                    f"{task.name}, {where}",
                    f"vLLM needs {least / GIB:.0f} GiB of each GPU for the weights and one "
                    f"sequence of {length:,} tokens, and is given {given:.0f}",
                    f"turn {keys}",
                )


def _generation(
    study: Study, plan: Plan, task: Task
) -> list[tuple[str, ModelShape, int, int, float, str]]:
    """What vLLM loads, where: (job, shape, GPUs, longest sequence, share, keys to turn)."""
    found = []
    prompt = plan.tokens[task.name].prompt_tokens
    shape, engine = shape_of(task.base, study), study.generation
    if shape is not None:
        length = prompt + evaluation_of(study, task).policy.max_new_tokens
        gpus = max(1, resources_of(study, task, "evaluate").gpu)
        keys = "resources.evaluate.gpu, generation.memory_share or max_new_tokens"
        found.append(("evaluate", shape, gpus, length, engine.memory_share, keys))
        for method in sorted({run.method for run in task.runs}):
            settings = method_of(study, task, method)
            if isinstance(settings, Grpo | Distill):
                length = (settings.max_prompt_tokens or prompt) + settings.max_new_tokens
                keys = "generation.colocated_share or max_new_tokens"
                found.append((method, shape, 1, length, engine.colocated_share, keys))
    for pair in study.discrepancy.models if study.discrepancy else []:
        for expert in task.experts:
            shape = shape_of(expert, study)
            named = pair.task == task.name and expert.name in (pair.expert, pair.student)
            if named and shape is not None:
                length = prompt + pair.sampling.max_new_tokens
                gpus = max(1, resources_of(study, task, "sample").gpu)
                keys = "resources.sample.gpu, generation.memory_share or max_new_tokens"
                found.append((expert.name, shape, gpus, length, engine.memory_share, keys))
    return found


def checkpoint_bytes(study: Study, task: Task, results: Path) -> float:
    """Bytes of the checkpoints that a task has still to write; the trainers keep no others."""
    shape = shape_of(task.base, study)
    if shape is None or task.base is None:
        return 0.0
    runs = results / "runs" / task.name
    count = 0
    base = runs / "base" / f"seed{task.base.seed}" / "checkpoints"
    if finetuning_of(task) and not base.is_dir():
        count += 1
    for run in task.runs:
        for seed in seeds_of(task, run):
            if not (runs / run.name / f"seed{seed}" / "checkpoints").is_dir():
                count += len(checkpoints_of(study, task, run))
    return float(count * PUBLISHED_BYTES * parameters(shape))


def check_disk(study: Study, tasks: list[Task], results: Path, report: Report) -> None:
    """The checkpoints of these tasks fit the disk that the results lie on."""
    needed = sum(checkpoint_bytes(study, task, results) for task in tasks)
    free = shutil.disk_usage(nearest_folder(results)).free
    names = ", ".join(task.name for task in tasks)
    if needed > free:
        report.problem(
            f"disk, {results}",
            f"the checkpoints of {names} take about {needed / GIB:,.1f} GiB, and {free / GIB:,.1f} "
            "are free",
            "make results a link to a larger disk, free space, or keep fewer `checkpoints`",
        )
    else:
        report.notes.append(f"disk: {needed / GIB:,.1f} GiB of {free / GIB:,.1f} for checkpoints")
