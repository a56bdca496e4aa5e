"""Checks whether every job fits the memory of its GPUs and the disk."""

import math
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from online_il import hub
from online_il.config.generation import COLOCATED_SHARE
from online_il.config.hub import Model, Package
from online_il.config.plan import ModelShape, Plan, TaskTokens
from online_il.config.policies import adapter_of, prefixes_of
from online_il.config.random import RandomModel
from online_il.config.run import BASE
from online_il.config.study import Study
from online_il.config.tasks import Task
from online_il.cost.memory import (
    GIB,
    Memory,
    generation_least,
    published_bytes,
    share_left,
    training,
)
from online_il.cost.shape import adapter_parameters, of_model, parameters
from online_il.errors import InputError
from online_il.layout import PARTS, PUBLISHED, Layout, existing_updates
from online_il.methods import METHODS
from online_il.preflight.machine import Gpu
from online_il.preflight.models import generated, shape_of
from online_il.preflight.report import Report
from online_il.program.dag import Job
from online_il.program.exhausted import nearest_folder, size
from online_il.training.state_size import state_bytes


def training_memory(study: Study, plan: Plan, task: Task) -> dict[str, Memory]:
    """Estimate what each kind of training job takes on each GPU, for the worst run of its method.

    Responses are as long as they may be, prompts as the plan has them. Models without a known
    shape are left out.
    """
    return {rule: found for rule, (_, found) in worst_runs(study, plan, task).items()}


def worst_runs(study: Study, plan: Plan, task: Task) -> dict[str, tuple[str, Memory]]:
    """Name of each kind of training job the run that takes the most, and estimate what it takes."""
    found: dict[str, tuple[str, Memory]] = {}
    shape = shape_of(task.base, study)
    if shape is None:
        return found
    prompt = plan.tokens[task.name].prompt_tokens
    if finetuning := task.finetuning:
        estimate = training(
            shape,
            gpus=max(1, task.resources.finetune.gpu),
            sequences=finetuning.micro_batch_size,
            length=finetuning.max_length,
        )
        found["finetune"] = BASE, estimate
    gpu = plan.gpu_memory_gib * GIB
    during = "vllm" if study.generation.during_updates == "awake" else "asleep"
    for run in task.runs:
        method, settings = METHODS[run.method], task.settings_of(run)
        generates = method.on_policy and prefixes_of(settings) == "own"
        response = task.evaluation.policy.max_new_tokens
        teachers: list[ModelShape | None] = []
        if method.learns_from == "probabilities":
            teachers = [shape_of(m, study) for m in task.models_behind(run.expert or "")]
        estimate = training(
            shape_of(task.named_bases[task.base_of(run.name)], study) or shape,
            gpus=max(1, getattr(task.resources, run.method).gpu),
            sequences=settings.micro_batch_size,
            length=prompt + (settings.max_new_tokens if generates else response),
            reference=method.learns_from == "reward" and settings.kl_coefficient > 0,
            teachers=[teacher for teacher in teachers if teacher is not None],
            lora=adapter_of(settings),
        )
        if generates and study.generation.engine == "vllm":
            share = study.generation.colocated_share or share_left(estimate, gpu)
            estimate = estimate._replace(**{during: share * gpu})
        if run.method not in found or _own(estimate) > _own(found[run.method][1]):
            found[run.method] = run.name, estimate
    return found


def _own(estimate: Memory) -> float:
    """Count what a training takes of a GPU beside vLLM, which may take the rest."""
    return estimate._replace(vllm=0.0, asleep=0.0).peak


def colocated_share(study: Study, task: Task, rule: str) -> float:
    """Give the share of a GPU that vLLM takes beside a task's training by a method."""
    given, plan = study.generation.colocated_share, study.plan
    if given is not None or plan is None or study.generation.engine != "vllm":
        return given or COLOCATED_SHARE
    estimate = training_memory(study, plan, task).get(rule)
    taken = 0.0 if estimate is None else estimate.vllm or estimate.asleep
    if not taken:
        return COLOCATED_SHARE
    return round(taken / (plan.gpu_memory_gib * GIB), 2)


MOST_GPUS = 8
"""Of one job: those of one node (config/accelerate/fsdp.yaml)."""


def too_large(study: Study, plan: Plan, task: Task) -> dict[str, tuple[Memory, int | None]]:
    """Find the kinds of training jobs that do not fit their GPUs, and on how many they would.

    None where no number on one node is enough; twice as many are tried, and twice as many again.
    """
    found: dict[str, tuple[Memory, int | None]] = {}
    for rule, estimate in training_memory(study, plan, task).items():
        if estimate.peak <= plan.gpu_memory_gib * GIB:
            continue
        asked = getattr(task.resources, rule)
        gpus, enough = 2 * max(1, asked.gpu), None
        while enough is None and gpus <= MOST_GPUS and not _all_adapters(task, rule):
            more = {rule: asked.model_copy(update={"gpu": gpus})}
            wider = {"resources": task.resources.model_copy(update=more)}
            other = training_memory(study, plan, task.model_copy(update=wider))[rule]
            enough = gpus if other.peak <= plan.gpu_memory_gib * GIB else None
            gpus *= 2
        found[rule] = estimate, enough
    return found


def of_gpu(study: Study, task: Task, here: Gpu | None) -> Plan | None:
    """Give the plan with the GPU that is here, where that has less memory than the plan's.

    A study without a plan has a least one of it, with the shortest prompts there are; None where
    nothing says how much memory there is.
    """
    plan = study.plan
    if here is None or math.isinf(here.gib):
        return plan
    if plan is not None and plan.gpu_memory_gib <= here.gib:
        return plan
    gpu = {"gpu": f"{here.name} here", "gpu_memory_gib": here.gib}
    if plan is not None:
        return plan.model_copy(update=gpu)
    rest = dict.fromkeys(("peak_tflops", "training_mfu", "decode_tokens_per_second"), 1.0)
    least = TaskTokens(prompt_tokens=1, response_tokens=1)
    return Plan(**gpu, **rest, decode_step_seconds=1.0, tokens={task.name: least})


def _all_adapters(task: Task, rule: str) -> bool:
    """Say whether all runs of a method train an adapter, which one GPU does."""
    runs = [run for run in task.runs if run.method == rule]
    return bool(runs) and all(adapter_of(task.settings_of(run)) for run in runs)


def check_memory(study: Study, task: Task, report: Report, here: Gpu | None = None) -> None:
    """Check that every job fits the memory of the GPU that the plan names, or that is `here`."""
    if study.hardware != "gpu":
        return
    plan = of_gpu(study, task, here)
    if plan is None:
        report.notes.append("GPU memory was not checked: no `plan` says which GPU there is")
        return
    large = too_large(study, plan, task)
    for rule, (run, estimate) in worst_runs(study, plan, task).items():
        gpus = getattr(task.resources, rule).gpu
        line = (
            f"{estimate.peak / GIB:.0f} GiB on each of {gpus} GPUs ({run}): {estimate.sentence()}"
        )
        if rule not in large:
            report.notes.append(f"{task.name}, {rule}: about {line}")
            continue
        turn = ["micro_batch_size"]
        if not _all_adapters(task, rule):
            turn.append(f"resources.{rule}.gpu (more)")
        if estimate.vllm or estimate.asleep:
            turn.append("generation.colocated_share")
        if estimate.vllm:
            turn.append("generation.during_updates (asleep)")
        turn.append("base.finetuning.max_length" if rule == "finetune" else "max_new_tokens")
        report.problem(
            f"{task.name}, {rule}",
            f"takes about {line}, and {plan.gpu} has {plan.gpu_memory_gib:.3g}",
            f"turn {', '.join(turn)}"
            + (f"; on {large[rule][1]} GPUs it fits" if large[rule][1] else ""),
        )
    if study.generation.engine == "transformers":
        for job, model, length in generated(study, task):
            shape = shape_of(model, study)
            least = generation_least(shape, gpus=1, length=length) if shape else 0.0
            if job not in METHODS and least > plan.gpu_memory_gib * GIB:
                report.problem(
                    f"{task.name}, {job}",
                    f"takes at least {least / GIB:.0f} GiB for the weights and one sequence of "
                    f"{length:,} tokens, and {plan.gpu} has {plan.gpu_memory_gib:.3g}",
                    "set generation.engine to vllm and resources.sample.gpu to more than 1, or "
                    "take a larger GPU",
                )
    if study.generation.engine == "vllm":
        for job, model, length in generated(study, task):
            shape, share = shape_of(model, study), study.generation.memory_share
            key, gpus = "generation.memory_share", 1
            if job in METHODS:
                key = "generation.colocated_share"
                share = colocated_share(study, task, job)
            else:
                rule = "evaluate" if job == "evaluate" else "sample"
                gpus = max(1, getattr(task.resources, rule).gpu)
                key = f"resources.{rule}.gpu, {key}"
            if shape is None:
                continue
            if shape.heads % gpus:
                report.problem(
                    f"{task.name}, {job}",
                    f"vLLM cuts the model over {gpus} GPUs, and its {shape.heads} heads cannot be",
                    f"set resources.{rule}.gpu to a number that divides them",
                )
            least, given = (
                generation_least(shape, gpus=gpus, length=length),
                share * plan.gpu_memory_gib,
            )
            if least > given * GIB:
                report.problem(
                    f"{task.name}, {job}",
                    f"vLLM needs {least / GIB:.0f} GiB of each GPU for the weights and one "
                    f"sequence of {length:,} tokens, and is given {given:.0f}",
                    f"turn {key} or max_new_tokens",
                )


class Training(NamedTuple):
    """Bytes that a training still to be done, or to be finished, writes."""

    published: float
    """Its checkpoints, which stay."""
    state: float
    """Its state, from which it goes on after a stop; gone once it is finished."""
    threads: int


def trainings(study: Study, task: Task, jobs: Iterable[Job], results: Path) -> list[Training]:
    """List the trainings among the jobs still to be done, without what they wrote so far."""
    if shape_of(task.base, study) is None:
        return []
    # A base is trained from scratch on a CPU whatever the hardware is, in single precision.
    hardware = {"pretrain": "cpu"}
    steps = dict.fromkeys(task.named_bases, 1)
    steps |= {run.name: len(task.checkpoints_of(run)) for run in task.runs}
    rules = {"pretrain", "finetune", *(run.method for run in task.runs)}
    adapters = {run.name: adapter_of(task.settings_of(run)) for run in task.runs}
    found, layout = [], Layout(results)
    for job in jobs:
        if job.task != task.name or job.rule not in rules:
            continue
        state = layout.state(task.name, job.run, job.seed or 0)
        shape = of_model(task.named_bases[task.base_of(job.run)], study.plan)
        count = parameters(shape)
        lora = adapters.get(job.run)
        trained = adapter_parameters(shape, lora) if lora else count
        a_step = count * published_bytes(hardware.get(job.rule, study.hardware))
        published = steps[job.run] * a_step - _size(state / PUBLISHED)
        resumed = state_bytes(trained) - sum(map(_size, existing_updates(state)))
        threads = getattr(task.resources, job.rule).threads
        found.append(Training(max(0.0, published), max(0.0, resumed), threads))
    return found


def model_bytes(study: Study, task: Task, results: Path) -> float:
    """Count the bytes of models that are laid in the results: links on one disk, copies on two."""
    found = 0.0
    models = dict(task.named_bases) | {expert.name: expert for expert in task.experts}
    for name, model in models.items():
        if Layout(results).model(task.name, name).is_dir():
            continue
        if isinstance(model, RandomModel):
            found += 4 * parameters(of_model(model, None))
        elif isinstance(model, Model | Package):
            try:
                files = [path.resolve() for path in hub.model_folder(model).glob(PARTS)]
            except (InputError, OSError):
                continue  # `check_files` names it.
            there = nearest_folder(results).stat().st_dev
            found += sum(p.stat().st_size for p in files if p.stat().st_dev != there)
    return found


def checkpoint_bytes(study: Study, task: Task, jobs: Iterable[Job], results: Path) -> float:
    """Count the bytes that a task still writes and keeps: its checkpoints, models of others."""
    kept = sum(training.published for training in trainings(study, task, jobs, results))
    return kept + model_bytes(study, task, results)


def passing_bytes(
    study: Study, tasks: list[Task], jobs: Sequence[Job], results: Path, cores: int | None = None
) -> tuple[float, int]:
    """Count the most that trainings keep at once to go on from (bytes), and how many that are.

    So many run at once as the cores allow, the largest first; all of them without a number of
    cores, as on a cluster.
    """
    waiting = [one for task in tasks for one in trainings(study, task, jobs, results)]
    waiting.sort(key=lambda one: -one.state)
    total, count, free = 0.0, 0, float("inf") if cores is None else cores
    for one in waiting:
        asked = one.threads if cores is None else min(one.threads, cores)  # As Snakemake does.
        if asked <= free:
            total, count, free = total + one.state, count + 1, free - asked
    return total, count


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def check_disk(
    study: Study,
    tasks: list[Task],
    jobs: Sequence[Job],
    results: Path,
    report: Report,
    cores: int | None = None,
) -> None:
    """Check that the disk of the results has room for what these tasks have still to write."""
    kept = sum(checkpoint_bytes(study, task, jobs, results) for task in tasks)
    passing, count = passing_bytes(study, tasks, jobs, results, cores)
    free = shutil.disk_usage(nearest_folder(results)).free
    names = ", ".join(task.name for task in tasks)
    take = (
        f"about {size(kept)}, and what {count} trainings at once go on from {size(passing)} more "
        "until they are finished"
    )
    if kept + passing > free:
        report.problem(
            f"disk, {results}",
            f"the checkpoints of {names} take {take}, and {size(free)} are free",
            "make results a link to a larger disk, free space, keep fewer `checkpoints`, or let "
            "fewer jobs run at once",
        )
    else:
        report.notes.append(f"disk: the checkpoints take {take}; {size(free)} are free")
