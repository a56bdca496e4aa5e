"""Estimates the work of a job from the settings alone: one function a rule.

Time on GPUs, in GPU-hours:

- operations / (training_mfu · peak_tflops · 1e12) / 3600 for training and for reading prompts.
  With F the operations of a forward pass over prompts and responses, training takes 3·F, and F more
  with gradient checkpointing; GRPO takes F more for the old policy's probabilities, where a step
  has several updates, and F for the reference; distillation takes the teacher's forward pass.
  Weights that are frozen beside an adapter have no gradient, so that training takes F less.
  What puts a student before its expert and base reads the responses that evaluation drew.
- generated tokens · (parameters / 1e9) / decode_tokens_per_second / 3600 for responses; in training
  at least batches of rollouts · longest response · decode_step_seconds · GPUs / 3600, for a batch
  waits for its longest response, and all GPUs with it.

Left out: starting up, loading, saving, queues, padding, and other waits of processes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from online_il import benchmarks
from online_il.config.bases import Scratch
from online_il.config.experts import EndpointExpert
from online_il.config.plan import ModelShape, Plan, TaskTokens
from online_il.config.policies import adapter_of, prefixes_of
from online_il.config.run import Run
from online_il.config.study import Study
from online_il.config.tasks import Task
from online_il.cost.shape import forward_flops, of_model, parameters
from online_il.methods import METHODS

PROMPTS = {"gsm8k": 1_319, "mmlu": 14_042, "aime2024": 30, "aime2025": 30, "math500": 500}
"""Prompts of the public benchmarks: their test sets' sizes."""
QUESTIONS, QUESTION_TOKENS = 322, 24
"""Of the benchmark knowledge: how many, and the tokens of a question with its four ends."""
PASSAGES, TOKENS_A_WORD = 86, 1.3
"""Of the benchmark prose with its own text: how many; tokens for a word of it."""


class Work(NamedTuple):
    """The work of one job."""

    compute: float = 0.0
    """Floating-point operations of training and of reading prompts."""
    decode: float = 0.0
    """Generated tokens times billions of parameters."""
    waits: float = 0.0
    """Tokens that are generated one after the other, times the GPUs that wait."""
    generated: float = 0.0
    """Tokens generated on GPUs."""
    trained: float = 0.0
    """Response tokens trained on."""
    api_prompt: float = 0.0
    """Tokens sent to an API."""
    api_response: float = 0.0
    """Tokens an API answers."""
    api_cost: float = 0.0
    """The price of both, US dollars."""


@dataclass(frozen=True)
class Policy:
    """A run, an expert or a base of a task, with all that the plan assumes of it."""

    study: Study
    plan: Plan
    task: Task
    name: str

    @property
    def lengths(self) -> TaskTokens:
        """Mean lengths in the task, tokens."""
        return self.plan.tokens[self.task.name]

    @property
    def run(self) -> Run:
        """The run's row in the config."""
        return next(run for run in self.task.runs if run.name == self.name)

    @property
    def method(self) -> Any:
        """The settings of the run, of its method's class."""
        return self.task.settings_of(self.run)

    def model(self, name: str) -> object:
        """Find the model that a policy starts from: an expert's own, else its base."""
        known = {expert.name: expert for expert in self.task.experts}
        return known.get(name) or self.task.named_bases[self.task.base_of(name)]

    def shapes(self, name: str) -> list[ModelShape]:
        """The shapes of all models that are read for a policy's probabilities."""
        return [of_model(model, self.plan) for model in self.task.models_behind(name)]

    @property
    def shape(self) -> ModelShape:
        """The shape of the policy; of a mixture its largest part's, which writes the most."""
        return max(self.shapes(self.name), key=parameters)

    def read(self, name: str, tokens: float, length: float) -> float:
        """Operations of reading `tokens` tokens with all models behind a policy."""
        return sum(forward_flops(shape, tokens, length) for shape in self.shapes(name))

    @property
    def training_passes(self) -> int:
        """Forward passes that training all weights on a sequence is worth."""
        return 4 if self.study.hardware == "gpu" else 3

    @property
    def run_passes(self) -> int:
        """Forward passes that training the run on a sequence is worth."""
        return self.training_passes - (adapter_of(self.method) is not None)

    def response_tokens(self, name: str) -> int:
        """Mean length of a policy's response, tokens."""
        return self.lengths.expert_tokens.get(name, self.lengths.response_tokens)


# ---- the base ----


def pretrain(base: Policy) -> Work:
    """Estimate the training of a base from scratch."""
    settings = base.task.named_bases[base.name]
    assert isinstance(settings, Scratch)
    length = min(base.lengths.finetuning_tokens or settings.max_length, settings.max_length)
    tokens = settings.updates * settings.batch_size * length
    compute = base.training_passes * forward_flops(base.shape, tokens, length)
    return Work(compute=compute, trained=tokens)


def finetune(base: Policy) -> Work:
    """Estimate the fine-tuning of a base."""
    settings = base.task.finetuning
    assert settings is not None
    length = min(base.lengths.finetuning_tokens or settings.max_length, settings.max_length)
    tokens = settings.updates * settings.batch_size * length
    compute = base.training_passes * forward_flops(base.shape, tokens, length)
    return Work(compute=compute, trained=tokens)


# ---- the methods, by what they learn from ----


def learn_from_reward(policy: Policy) -> Work:
    """Estimate the training on rewards of the policy's own rollouts (GRPO)."""
    settings = policy.method
    rollouts = policy.run.steps * settings.prompts_per_step * settings.rollouts_per_prompt
    extra = (settings.updates_per_step > 1) + (settings.kl_coefficient > 0)
    return _on_policy(policy, rollouts, policy.run_passes + extra)


def learn_from_probabilities(policy: Policy) -> Work:
    """Estimate the training towards an expert's probabilities (distillation).

    On the policy's own responses, which it generates, or on the expert's. What comes later in a
    response is priced by one more pass of both.
    """
    settings, expert = policy.method, policy.run.expert or ""
    samples = policy.run.steps * settings.batch_size
    more = getattr(settings, "level", "token") == "response"
    passes = policy.run_passes + more
    if prefixes_of(settings) == "expert":
        response = policy.response_tokens(expert)
        work = _trained(policy, samples, response, passes)
    else:
        response = policy.lengths.response_tokens
        work = _on_policy(policy, samples, passes)
    length = policy.lengths.prompt_tokens + response
    read = (1 + more) * policy.read(expert, samples * length, length)
    return work._replace(compute=work.compute + read)


def learn_from_samples(policy: Policy) -> Work:
    """Estimate the training on an expert's demonstrations (SFT)."""
    samples = policy.run.steps * policy.method.batch_size
    response = policy.response_tokens(policy.run.expert or "")
    return _trained(policy, samples, response, policy.run_passes)


def _trained(policy: Policy, samples: int, response: int, passes: float) -> Work:
    """Estimate `passes` forward passes over prompts and responses of `response` tokens."""
    length = policy.lengths.prompt_tokens + response
    compute = passes * forward_flops(policy.shape, samples * length, length)
    return Work(compute=compute, trained=samples * response)


def _on_policy(policy: Policy, samples: int, passes: float) -> Work:
    """Estimate the training on `samples` responses of the policy itself."""
    response = policy.lengths.response_tokens
    gpus = max(1, getattr(policy.task.resources, policy.run.method).gpu)
    return _trained(policy, samples, response, passes)._replace(
        decode=samples * response * parameters(policy.shape) / 1e9,
        waits=float(policy.run.steps * policy.method.max_new_tokens * gpus),
        generated=samples * response,
    )


# ---- samples ----

UNIT_MINUTES = 15
"""By the plan, the longest work that a kill of a sampling or an evaluation may cost."""


def unit_rows(policy: Policy, rule: str) -> int:
    """Count the responses that a job draws from a policy in `UNIT_MINUTES`, by the plan.

    `rule` says whose `resources` the job has.
    """
    asked = getattr(policy.task.resources, rule)
    devices = max(1, asked.gpu if policy.plan.device == "GPU" else asked.threads)
    each = policy.response_tokens(policy.name) * parameters(policy.shape) / 1e9
    a_minute = 60 * devices * policy.plan.decode_tokens_per_second / each
    return max(1, int(UNIT_MINUTES * a_minute))


def sample(policy: Policy) -> Work:
    """Estimate the demonstrations of a policy with weights; every one's prompt is read."""
    return _generated(policy, _demonstrations(policy), _demonstrations(policy))


def sample_fresh(policy: Policy) -> Work:
    """Estimate the demonstrations that a run has for itself."""
    count = policy.method.demonstrations
    return _generated(replace(policy, name=policy.run.expert or ""), count, count)


def respond(policy: Policy) -> Work:
    """Estimate the responses of a model to the benchmarks, several to each prompt."""
    prompts, responses = _compared(policy)
    return _generated(policy, prompts * responses, prompts)


def demonstrate(policy: Policy) -> Work:
    """Estimate the demonstrations of an expert behind an endpoint."""
    return _asked(policy, _demonstrations(policy))


def ask(policy: Policy) -> Work:
    """Estimate the responses of an endpoint to the benchmarks."""
    prompts, responses = _compared(policy)
    return _asked(policy, prompts * responses)


def _demonstrations(policy: Policy) -> int:
    return int(policy.task.methods.sft.demonstrations)


def _compared(policy: Policy) -> tuple[int, int]:
    """Count the prompts of all benchmarks and the responses to each of a compared model."""
    assert policy.study.discrepancy is not None
    pairs = (pair for pair in policy.study.discrepancy.models if pair.task == policy.task.name)
    pair = next(pair for pair in pairs if policy.name in (pair.expert, pair.student))
    left_out = (*benchmarks.SCORED, *benchmarks.FURTHER)
    sampled = [name for name in policy.task.benchmarks if name not in left_out]
    return sum(_prompts(policy.task, name) for name in sampled), pair.responses


def _generated(policy: Policy, count: int, read: int) -> Work:
    """Estimate `count` responses to prompts of which `read` have to be read."""
    prompt, response = policy.lengths.prompt_tokens, policy.response_tokens(policy.name)
    return Work(
        compute=forward_flops(policy.shape, read * prompt, prompt),
        decode=count * response * parameters(policy.shape) / 1e9,
        generated=count * response,
    )


def _asked(policy: Policy, count: int) -> Work:
    """Estimate `count` answers of an endpoint."""
    expert = policy.model(policy.name)
    assert isinstance(expert, EndpointExpert)
    prompts = count * policy.lengths.prompt_tokens
    answers = count * policy.response_tokens(policy.name)
    cost = (prompts * expert.price_input + answers * expert.price_output) / 1e6
    return Work(api_prompt=prompts, api_response=answers, api_cost=cost)


# ---- evaluation ----


def evaluate(policy: Policy) -> Work:
    """Estimate the evaluation of all checkpoints of a policy on all benchmarks of its task.

    A mixture's are those that are sampled from it. It reads its own responses and its students'.
    """
    task, lengths, settings = policy.task, policy.lengths, policy.task.evaluation
    mixtures = {mixture.name for mixture in task.mixtures}
    is_mixture = policy.name in mixtures
    trained = policy.name not in {*task.named_bases, *mixtures}
    checkpoints = len(task.checkpoints_of(policy.run)) if trained else 1
    compute, generated = 0.0, 0.0
    for benchmark in task.benchmarks:
        prompts = _prompts(task, benchmark)
        if benchmark in benchmarks.SCORED:
            if is_mixture:
                continue
            length = _scored_tokens(task, benchmark, lengths)
            compute += forward_flops(policy.shape, checkpoints * prompts * length, length)
            continue
        each = settings.count(benchmark, last=False)
        drawn = (checkpoints - 1) * each + settings.count(benchmark, last=True)
        evaluated = checkpoints
        if settings.paper and not is_mixture:
            by_paper = checkpoints if settings.paper_checkpoints == "all" else 1
            drawn, evaluated = drawn + by_paper * each, evaluated + by_paper
        read = evaluated * prompts * lengths.prompt_tokens
        compute += forward_flops(policy.shape, read, lengths.prompt_tokens)
        generated += drawn * prompts * lengths.response_tokens
    expert = policy.name if is_mixture else policy.run.expert if trained else None
    if expert in mixtures:
        length = lengths.prompt_tokens + lengths.response_tokens
        responses = generated / lengths.response_tokens
        compute += policy.read(str(expert), responses * length, length)
    decode = generated * parameters(policy.shape) / 1e9
    return Work(compute=compute, decode=decode, generated=generated)


def divergence(policy: Policy) -> Work:
    """Estimate what is read to put a run before its expert and its base, all planned seeds.

    For both KLs each reads its own responses and the other's, so that the student reads four times
    the benchmark's responses, base and expert twice; and the expert reads those of every policy
    that stands for the student's class: its checkpoints, its base, and what it imitates in the end.
    """
    task, run, lengths = policy.task, policy.run, policy.lengths
    assert policy.study.divergence is not None and run.expert is not None
    benchmark, base = policy.study.divergence.benchmark, task.base_of(run.name)
    mixtures = {mixture.name: mixture for mixture in task.mixtures}
    best = mixtures[run.expert].learnable if run.expert in mixtures else run.expert
    stands = best is not None and best != base and task.base_of(best) == base
    family = len(task.checkpoints_of(run)) + 1 + stands
    each = task.evaluation.count(benchmark, last=False)
    seeds = [s for s in task.seeds_of(run) if policy.plan.seeds is None or s in policy.plan.seeds]
    length = lengths.prompt_tokens + lengths.response_tokens
    tokens = len(seeds) * _prompts(task, benchmark) * each * length
    readings = {run.name: 4, base: 2, run.expert: 2 + family}
    if run.expert == base:
        readings[base] = 4 + family
    return Work(compute=sum(n * policy.read(name, tokens, length) for name, n in readings.items()))


def _prompts(task: Task, benchmark: str) -> int:
    """Count the prompts of a benchmark."""
    data = task.data
    if benchmark in benchmarks.FURTHER:
        return int(getattr(task.further, benchmark).count)
    if limit := getattr(data, "rows", {}).get(benchmark):
        return int(limit)
    if benchmark in PROMPTS:
        return PROMPTS[benchmark]
    if benchmark in benchmarks.OPTIONAL:
        return PASSAGES if benchmark in benchmarks.LANGUAGE else QUESTIONS
    return int(data.facts.count if benchmark == "forgetting" else getattr(data, benchmark))  # type: ignore[union-attr]


def _scored_tokens(task: Task, benchmark: str, lengths: TaskTokens) -> int:
    """Estimate what is read of a prompt of which likelihoods are asked, tokens."""
    if benchmark in benchmarks.LANGUAGE:
        text = task.data.prose  # type: ignore[union-attr]
        return round((text.words + text.context) * TOKENS_A_WORD)  # type: ignore[union-attr]
    if benchmark in benchmarks.WITH_EXAMPLES:
        return lengths.choice_tokens or lengths.prompt_tokens
    return QUESTION_TOKENS if benchmark in benchmarks.OPTIONAL else lengths.prompt_tokens


def nothing(policy: Policy) -> Work:
    """Estimate a job that is listed, and takes neither GPUs nor money, at nothing."""
    return Work()


BY_TEACHER = {
    "reward": learn_from_reward,
    "samples": learn_from_samples,
    "probabilities": learn_from_probabilities,
}
"""The work of a method's job, by what the method learns from (`Method.learns_from`)."""

COSTS: dict[str, tuple[Callable[[Policy], Work], str | None]] = {
    "pretrain": (pretrain, "pretrain"),
    "finetune": (finetune, "finetune"),
    "adopt": (nothing, None),
    **{name: (BY_TEACHER[method.learns_from], name) for name, method in METHODS.items()},
    "evaluate": (evaluate, "evaluate"),
    "divergence": (divergence, "evaluate"),
    "sample": (sample, "sample"),
    "sample_fresh": (sample_fresh, "sample"),
    "demonstrate": (demonstrate, None),
    "solve": (nothing, None),
    "take": (nothing, None),
    "take_first": (nothing, None),
    "mix": (nothing, None),
    "respond": (respond, "sample"),
    "ask": (ask, None),
}
"""By rule, in the order of the plan: the work of its job, and whose `resources` it asks for."""
