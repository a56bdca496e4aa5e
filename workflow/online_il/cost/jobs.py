"""Every job of a study that takes GPUs or money, with what it takes and what it needs first.

A job is named by its rule and the policy it works for: (rule, task, run, seed), as in `rules/`.
Time on GPUs, in GPU-hours:

- operations / (training_mfu · peak_tflops · 1e12) / 3600 for training and for reading prompts.
  With F the operations of a forward pass over prompts and responses, training takes 3·F, and F more
  with gradient checkpointing; GRPO takes F more for the old policy's probabilities, where a step
  has several updates, and F for the reference; distillation takes the teacher's forward pass.
- generated tokens · (parameters / 1e9) / decode_tokens_per_second / 3600 for responses; in training
  at least batches of rollouts · longest response · decode_step_seconds · GPUs / 3600, for a batch
  waits for its longest response, and all GPUs with it.

Left out: starting up, loading, saving, queues, padding, and other waits of processes.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from online_il import benchmarks
from online_il.config.bases import Pretrained, RandomBase, Scratch
from online_il.config.distill import Distill
from online_il.config.evaluation import Evaluation
from online_il.config.experts import EndpointExpert, Solver
from online_il.config.finetuning import Finetuning
from online_il.config.grpo import Grpo
from online_il.config.plan import ModelShape, Plan, TaskTokens
from online_il.config.run import Run
from online_il.config.sft import Sft
from online_il.config.study import (
    Study,
    checkpoints_of,
    evaluation_of,
    method_of,
    resources_of,
    seeds_of,
)
from online_il.config.tasks import Task
from online_il.cost.shape import forward_flops, of_model, parameters

Key = tuple[str, str, str, int]
"""Rule, task, run and seed."""

PROMPTS = {"gsm8k": 1_319, "mmlu": 14_042, "aime2024": 30, "aime2025": 30, "math500": 500}
"""Prompts of the public benchmarks: their test sets' sizes."""


@dataclass(frozen=True)
class Job:
    """One job: what it takes, and which jobs it needs done before it."""

    needs: tuple[Key, ...] = ()
    gpus: int = 0
    limit_hours: float = 0.0
    compute: float = 0.0
    """Floating-point operations of training and of reading prompts."""
    decode: float = 0.0
    """Generated tokens times billions of parameters."""
    waits: float = 0.0
    """Tokens that are generated one after the other, times the GPUs that wait."""
    generated: float = 0.0
    trained: float = 0.0
    api_prompt: float = 0.0
    api_response: float = 0.0
    api_cost: float = 0.0
    gpu_hours: float = 0.0

    @property
    def hours(self) -> float:
        """How long it takes on the GPUs it asks for, hours."""
        return self.gpu_hours / self.gpus if self.gpus else 0.0


def gpu_hours(plan: Plan, compute: float, decode: float, waits: float = 0.0) -> float:
    """GPU-hours of so many operations and so much generation (tokens times billions).

    `waits`: tokens that are generated one after the other, times the GPUs that wait for them.
    """
    seconds = compute / (plan.training_mfu * plan.peak_tflops * 1e12)
    generating = max(decode / plan.decode_tokens_per_second, waits * plan.decode_step_seconds)
    return (seconds + generating) / 3600


def jobs_of(study: Study, plan: Plan) -> dict[Key, Job]:
    """Every job of the tasks and seeds that the plan names. Raises `InputError`: unknown shapes."""
    found: dict[Key, Job] = {}
    for task in study.tasks:
        if plan.tasks is None or task.name in plan.tasks:
            found |= dict(_Planner(study, plan, task).jobs())
    return found


def closure(jobs: dict[Key, Job], roots: Iterable[Key]) -> set[Key]:
    """Some jobs and all that they need."""
    waiting, found = list(roots), set[Key]()
    while waiting:
        key = waiting.pop()
        if key in jobs and key not in found:  # Fetching a model is no job here.
            found.add(key)
            waiting += jobs[key].needs
    return found


def figures(study: Study, jobs: dict[Key, Job]) -> dict[str, set[Key]]:
    """The jobs that each figure and table depends on, as in rules/targets.smk and pairs.smk.

    Those that depend on none of the jobs are left out. Figure 4 and the theory take no GPU.
    """
    with_runs = [task for task in study.tasks if task.runs]
    beyond = {*benchmarks.OUT_OF_DISTRIBUTION, *benchmarks.FORGETTING}
    with_beyond = [task for task in with_runs if beyond & set(task.benchmarks)]
    drawn: dict[str, set[Key]] = {}
    for name, tasks in (("figure1", with_runs), ("figure2", with_beyond)):
        names = {task.name for task in tasks}
        roots = [key for key in jobs if key[0] == "evaluate" and key[1] in names]
        drawn[name] = closure(jobs, roots)
    drawn["figure3"] = closure(jobs, _compared(study, jobs))
    drawn["table1"] = drawn["figure3"]
    return {name: keys for name, keys in drawn.items() if keys}


def _compared(study: Study, jobs: dict[Key, Job]) -> list[Key]:
    """The jobs whose responses are compared."""
    if study.discrepancy is None:
        return []
    policies = {
        (pair.task, name)
        for pair in study.discrepancy.models
        for name in (pair.expert, pair.student)
    }
    for task in study.tasks:
        if study.discrepancy.benchmark not in task.benchmarks:
            continue
        experts = [run for run in task.runs if run.method == "grpo"]
        students = [run for run in task.runs if run.method != "grpo"]
        solvers = {expert.name for expert in task.experts if isinstance(expert, Solver)}
        compared = [*experts, *students] if experts and students else []
        compared += [run for run in students if run.expert in solvers]
        policies |= {(task.name, run.name) for run in compared}
    rules = ("evaluate", "respond", "ask")
    return [key for key in jobs if key[0] in rules and key[1:3] in policies]


class _Planner:
    """The jobs of one task."""

    def __init__(self, study: Study, plan: Plan, task: Task) -> None:
        self.study, self.plan, self.task = study, plan, task
        self.lengths: TaskTokens = plan.tokens[task.name]
        self.runs = {run.name: run for run in task.runs}
        self.experts = {expert.name: expert for expert in task.experts}
        self.shapes: dict[str, ModelShape] = {}
        self.recomputed = 1 if study.hardware == "gpu" else 0

    def jobs(self) -> Iterator[tuple[Key, Job]]:
        """Every job of the task, by name."""
        if self.task.base is not None:
            yield from self.base()
        sampled: set[Key] = set()
        for run in self.task.runs:
            for seed in self.seeds(seeds_of(self.task, run)):
                yield self.key(run.method, run.name, seed), self.training(run, seed)
                yield (
                    self.key("evaluate", run.name, seed),
                    self.evaluation(
                        run.name, seed, len(checkpoints_of(self.study, self.task, run))
                    ),
                )
                if run.method == "sft":
                    key = self.demonstrations_of(run.expert or "", seed)
                    if key not in sampled:
                        sampled.add(key)
                        yield key, self.demonstrations(key)
        yield from self.responses()

    # ---- the kinds of jobs ----

    def base(self) -> Iterator[tuple[Key, Job]]:
        """Making and evaluating the base."""
        base = self.task.base
        assert base is not None
        yield self.made("base", base.seed), self.base_training()
        yield self.key("evaluate", "base", base.seed), self.evaluation("base", base.seed, 1)

    def base_training(self) -> Job:
        """Pretraining or fine-tuning; a base that is taken as it is costs nothing."""
        base, shape = self.task.base, self.shape("base")
        if isinstance(base, Scratch):
            tokens = base.updates * base.batch_size * base.max_length
            compute = (3 + self.recomputed) * forward_flops(shape, tokens, base.max_length)
            return self.job("pretrain", compute=compute, trained=tokens)
        settings = finetuning_of(self.task)
        if settings is None:
            return Job()
        length = min(self.lengths.finetuning_tokens or settings.max_length, settings.max_length)
        tokens = settings.updates * settings.batch_size * length
        compute = (3 + self.recomputed) * forward_flops(shape, tokens, length)
        return self.job("finetune", compute=compute, trained=tokens)

    def training(self, run: Run, seed: int) -> Job:
        """Training a run; what it generates on the way is part of it."""
        settings = method_of(self.study, self.task, run.method)
        shape, lengths = self.shape("base"), self.lengths
        needs = [self.made("base", seed)]
        response = lengths.response_tokens
        extra, decode, teacher, waits = 0.0, 0.0, 0.0, 0.0
        if isinstance(settings, Grpo | Distill):
            gpus = max(1, resources_of(self.study, self.task, run.method).gpu)
            waits = float(run.steps * settings.max_new_tokens * gpus)
        if isinstance(settings, Grpo):
            samples = run.steps * settings.prompts_per_step * settings.rollouts_per_prompt
            extra = (settings.updates_per_step > 1) + (settings.kl_coefficient > 0)
        else:
            samples = run.steps * settings.batch_size
        if isinstance(settings, Sft):
            needs.append(self.demonstrations_of(run.expert or "", seed))
            response = self.response_of(run.expert or "")
        length = lengths.prompt_tokens + response
        if isinstance(settings, Distill):
            needs.append(self.made(run.expert or "", seed))
            teacher = forward_flops(self.shape(run.expert or ""), samples * length, length)
        generated = 0 if isinstance(settings, Sft) else samples * response
        decode = generated * parameters(shape) / 1e9
        compute = (3 + self.recomputed + extra) * forward_flops(shape, samples * length, length)
        return self.job(
            run.method,
            needs=tuple(needs),
            compute=compute + teacher,
            decode=decode,
            waits=waits,
            generated=generated,
            trained=samples * response,
        )

    def demonstrations_of(self, expert: str, seed: int) -> Key:
        """The job that gives an expert's demonstrations."""
        kind = getattr(self.experts.get(expert), "kind", "")
        rule = {"solver": "solve", "endpoint": "demonstrate"}.get(kind, "sample")
        return self.key(rule, expert, seed)

    def demonstrations(self, key: Key) -> Job:
        """An expert's samples of the training prompts."""
        settings = method_of(self.study, self.task, "sft")
        assert isinstance(settings, Sft)
        return self.answers(key, settings.demonstrations, settings.demonstrations)

    def responses(self) -> Iterator[tuple[Key, Job]]:
        """Responses of models that are no runs, for the comparison."""
        pairs = self.study.discrepancy.models if self.study.discrepancy else []
        done: set[str] = set()
        for pair in (pair for pair in pairs if pair.task == self.task.name):
            for name in (pair.expert, pair.student):
                if name in done:
                    continue
                done.add(name)
                rule = "ask" if isinstance(self.experts[name], EndpointExpert) else "respond"
                prompts = sum(self.prompts(benchmark) for benchmark in self.task.benchmarks)
                for seed in self.seeds(self.task.seeds):
                    key = self.key(rule, name, seed)
                    yield key, self.answers(key, prompts * pair.responses, prompts)

    def answers(self, key: Key, count: int, prompts: int) -> Job:
        """`count` responses of an expert to prompts of which `prompts` have to be read."""
        rule, _, name, seed = key
        expert, lengths = self.experts.get(name), self.lengths
        if isinstance(expert, Solver):
            return Job()
        response = self.response_of(name)
        if isinstance(expert, EndpointExpert):
            asked, answered = count * lengths.prompt_tokens, count * response
            cost = (asked * expert.price_input + answered * expert.price_output) / 1e6
            return Job(api_prompt=asked, api_response=answered, api_cost=cost)
        shape = self.shape(name)
        return self.job(
            "sample",
            needs=(self.made(name, seed),) if rule == "sample" and expert is None else (),
            compute=forward_flops(shape, prompts * lengths.prompt_tokens, lengths.prompt_tokens),
            decode=count * response * parameters(shape) / 1e9,
            generated=count * response,
        )

    def evaluation(self, run: str, seed: int, checkpoints: int) -> Job:
        """All checkpoints of a policy on all benchmarks of the task."""
        settings, shape, lengths = self.evaluation_settings(), self.shape("base"), self.lengths
        compute, generated = 0.0, 0.0
        for benchmark in self.task.benchmarks:
            prompts = self.prompts(benchmark)
            if benchmark in benchmarks.FORGETTING:
                length = lengths.choice_tokens or lengths.prompt_tokens
                compute += forward_flops(shape, checkpoints * prompts * length, length)
                continue
            samplings = 2 if settings.paper else 1
            each = settings.responses.get(benchmark, settings.samples_per_prompt)
            read = checkpoints * samplings * prompts * lengths.prompt_tokens
            compute += forward_flops(shape, read, lengths.prompt_tokens)
            generated += checkpoints * samplings * prompts * each * lengths.response_tokens
        return self.job(
            "evaluate",
            needs=(self.made(run, seed),),
            compute=compute,
            decode=generated * parameters(shape) / 1e9,
            generated=generated,
        )

    # ---- what they are made of ----

    def key(self, rule: str, run: str, seed: int) -> Key:
        return rule, self.task.name, run, seed

    def made(self, run: str, seed: int) -> Key:
        """The job that makes a policy."""
        if run != "base":
            return self.key(self.runs[run].method if run in self.runs else "fetch", run, seed)
        base = self.task.base
        assert base is not None
        if isinstance(base, Scratch):
            return self.key("pretrain", run, base.seed)
        return self.key("finetune" if base.finetuning else "adopt", run, base.seed)

    def seeds(self, listed: list[int]) -> list[int]:
        return [seed for seed in listed if self.plan.seeds is None or seed in self.plan.seeds]

    def shape(self, name: str) -> ModelShape:
        """The shape of a policy: that of the base for runs, which start from it."""
        own = name if name in self.experts else "base"
        if own not in self.shapes:
            model = self.experts.get(own, self.task.base)
            self.shapes[own] = of_model(model, self.plan)
        return self.shapes[own]

    def response_of(self, name: str) -> int:
        """Mean length of a policy's response, tokens."""
        return self.lengths.expert_tokens.get(name, self.lengths.response_tokens)

    def prompts(self, benchmark: str) -> int:
        """Prompts of a benchmark."""
        if benchmark in PROMPTS:
            return PROMPTS[benchmark]
        data = self.task.data
        return int(data.facts.count if benchmark == "forgetting" else getattr(data, benchmark))  # type: ignore[union-attr]

    def evaluation_settings(self) -> Evaluation:
        return evaluation_of(self.study, self.task)

    def job(self, rule: str, *, needs: tuple[Key, ...] = (), **work: float) -> Job:
        asked = resources_of(self.study, self.task, rule)
        amounts = (work.get(name, 0.0) for name in ("compute", "decode", "waits"))
        hours = gpu_hours(self.plan, *amounts)
        return Job(
            needs=needs,
            gpus=asked.gpu,
            limit_hours=asked.runtime / 60,
            gpu_hours=hours if asked.gpu else 0.0,
            **work,  # type: ignore[arg-type]
        )


def finetuning_of(task: Task) -> Finetuning | None:
    """The fine-tuning of a task's base, None where it has none."""
    return task.base.finetuning if isinstance(task.base, Pretrained | RandomBase) else None
