"""Tiny training runs, and plain torch to hold them against."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import torch

from online_il.config.architecture import Architecture
from online_il.config.distill import Distill
from online_il.config.generation import Generation
from online_il.config.grpo import Grpo
from online_il.models import load_model, new_model, save_policy, word_tokenizer
from online_il.training import common, distill, grpo, rollouts
from online_il.training.resume import Saving

WORDS = ("<pad>", "<bos>", "<eos>", *"abcdefghi")
SHAPE = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=2, head_dim=8)
GRPO = Grpo(
    prompts_per_step=4,
    rollouts_per_prompt=4,
    updates_per_step=2,
    micro_batch_size=2,
    kl_coefficient=0.3,
    clip_ratio=0.1,
    entropy_coefficient=0.05,
    temperature=0.9,
    max_new_tokens=11,
    max_grad_norm=0.7,
    checkpoints=[1],
)
DISTILL = Distill(
    batch_size=8,
    micro_batch_size=2,
    temperature=0.8,
    max_new_tokens=11,
    max_grad_norm=0.7,
    checkpoints=[1],
)
LOOP = Generation(engine="loop", batch_size=64)
TRANSFORMERS = Generation(engine="transformers", batch_size=64)
PROMPTS = ["<bos> a b c", "<bos> d", "<bos> e f", "<bos> g h i a b"]


SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"


def program(
    method: str,
    inputs: Path,
    folder: Path,
    settings: dict,
    *,
    task: str,
    expert: Path,
    learning_rate: float,
    save_minutes: float,
) -> list[object]:
    """The command of a training program, to the last of the checkpoints in its settings.

    `inputs` has base/step0, prompts.parquet and samples.parquet; `folder` gets all that is written.
    """
    kept = settings["checkpoints"]
    command: list[object] = [
        *(SCRIPTS / f"{method}.py", "--task", task, "--run", method, "--seed", 3, "--code", "x"),
        *("--settings", json.dumps(settings), "--steps", kept[-1]),
        *("--learning-rate", learning_rate, "--keep", ",".join(map(str, kept))),
        *("--base", inputs / "base" / "step0", "--prompts", inputs / "prompts.parquet"),
        *("--checkpoints", folder / "checkpoints", "--training", folder / "training.parquet"),
        *("--record", folder / "run.json", "--progress", folder / "progress.json"),
        *("--state", folder / "state", "--save-minutes", save_minutes),
    ]
    if method == "sft":
        command += ["--demonstrations", inputs / "samples.parquet"]
    else:
        command += ["--generation", json.dumps({"engine": "loop", "batch_size": 16})]
    if method == "distill":
        command += ["--expert-checkpoints", expert]
    return command if method == "grpo" else [*command, "--expert", "an expert"]


def tiny(seed: int = 0):
    model = new_model(SHAPE, word_tokenizer(WORDS), max_length=64, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4  # Away from uniform.
    return model


def arguments(folder, updates: int, **options):
    return common.arguments(
        output=folder / "state",
        updates=updates,
        **{"learning_rate": 0.01, "max_grad_norm": 0.7, "seed": 5} | options,
    )


def saving(folder) -> Saving:
    """A folder of the run's own; nothing is saved on the way within an hour."""
    return Saving(folder / "saved", "a run", 60)


def copied(model) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def with_weights(state):
    model = tiny()
    model.load_state_dict(state)
    return model


def reward(completions, **_) -> list[float]:
    """Hand-made: distinct letters and a little for each word."""
    return [len(set(text.split())) + 0.25 * len(text.split()) for text in completions]


# ---- recorded runs ----


def recording(trainer_class, kept: list):
    """A trainer that keeps, of every micro-batch, the inputs, weights, loss and gradient."""

    class Recording(trainer_class):
        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            self.seen = []
            kept.append(self)

        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
            gradients = torch.autograd.grad(loss, list(parameters.values()), retain_graph=True)
            self.seen.append(
                SimpleNamespace(
                    update=self.state.global_step,
                    inputs=inputs,
                    state=copied(model),
                    loss=loss.item(),
                    gradient=dict(zip(parameters, gradients, strict=True)),
                )
            )
            return loss

    return Recording


def recorded(patch, module, run) -> SimpleNamespace:
    """What `run()` returns, its trainer, and its rollout batches before and after grouping."""
    trainers, cuts = [], []
    group = rollouts.group_by_length

    def spy(batches, per_update):
        grouped = group(batches, per_update)
        cuts.append((list(batches), grouped))
        return grouped

    patch.setattr(module, "LoopTrainer", recording(module.LoopTrainer, trainers))
    patch.setattr(rollouts, "group_by_length", spy)
    recorder = run()
    return SimpleNamespace(recorder=recorder, trainer=trainers[0], cuts=cuts)


def run_grpo(folder, settings=GRPO, steps=2, generation=LOOP, rewarded=reward, rate=0.03):
    save_policy(tiny(), word_tokenizer(WORDS), folder / "base")  # TRL loads the reference itself.
    return grpo.train(
        load_model(folder / "base"),
        word_tokenizer(WORDS),
        [{"prompt": PROMPTS[i % 4]} for i in range(4 * steps)],
        rewarded,
        settings,
        generation=generation,
        arguments=arguments(folder, updates=2 * steps, learning_rate=rate),
        checkpoints=[1],
        saving=saving(folder),
        progress=folder / "progress.json",
    )


def run_distill(folder, settings=DISTILL, updates=2, generation=LOOP):
    return distill.train(
        tiny(),
        tiny(seed=1),
        word_tokenizer(WORDS),
        [{"prompt": PROMPTS[i % 4]} for i in range(8 * updates)],
        settings,
        generation=generation,
        arguments=arguments(folder, updates=updates),
        checkpoints=[2],
        saving=saving(folder),
        progress=folder / "progress.json",
    )


def lengths(batch) -> list[int]:
    return batch["completion_mask"].sum(-1).tolist()


def rows_of(batches) -> list[tuple]:
    """(prompt, response, what else belongs to it) of every row, without padding."""
    rows = []
    for batch in batches:
        for i, n in enumerate(lengths(batch)):
            prompt = batch["prompt_ids"][i][batch["prompt_mask"][i] == 1].tolist()
            assert batch["completion_mask"][i, :n].all(), "padding is on the right"
            row = [tuple(prompt), tuple(batch["completion_ids"][i, :n].tolist())]
            row += [tuple(batch[k][i, :n].tolist()) for k in sorted(batch) if k.endswith("logps")]
            row += [batch["advantages"][i].item()] if "advantages" in batch else []
            rows.append(tuple(row))
    return rows


# ---- plain torch ----


def token_logits(model, prompt, response, temperature) -> torch.Tensor:
    """Logits (T, V) before each token of a response; one unpadded row through the model."""
    ids = torch.tensor([[*prompt, *response]])
    logits = model(ids, use_cache=False).logits[0, len(prompt) - 1 : -1]
    return logits / temperature


def token_logps(model, prompt, response, temperature) -> torch.Tensor:
    logp = token_logits(model, prompt, response, temperature).log_softmax(-1)
    return logp.gather(-1, torch.tensor(response)[:, None])[:, 0]


def plain_advantages(rewards: torch.Tensor) -> torch.Tensor:
    """(reward - mean) / (standard deviation + 1e-4) of each group of four."""
    groups = rewards.view(-1, 4)
    spread = groups.std(dim=1, keepdim=True, correction=1)
    return ((groups - groups.mean(dim=1, keepdim=True)) / (spread + 1e-4)).flatten()


def plain_grpo_loss(rows, model, old, base, settings, count: Counter) -> torch.Tensor:
    """The loss of one micro-batch of (prompt, response, advantage), from Table 2 and D.1."""
    losses, entropies = [], []
    for prompt, response, advantage in rows:
        logp = token_logps(model, prompt, response, settings.temperature)
        with torch.no_grad():
            old_logp = token_logps(old, prompt, response, settings.temperature)
            base_logp = token_logps(base, prompt, response, settings.temperature)
        ratio = (logp - old_logp).exp()
        clipped = ratio.clamp(1 - settings.clip_ratio, 1 + settings.clip_ratio)
        gain = torch.minimum(ratio * advantage, clipped * advantage)
        kl = (base_logp - logp).exp() - (base_logp - logp) - 1
        losses.append((-gain + settings.kl_coefficient * kl).mean())
        logits = token_logits(model, prompt, response, settings.temperature)
        entropies.append(torch.distributions.Categorical(logits=logits).entropy())
        count["clipped"] += int((gain != ratio * advantage).sum())
        count["tokens"] += len(response)
    bonus = torch.cat(entropies).mean()
    return torch.stack(losses).mean() - settings.entropy_coefficient * bonus


def same_gradient(one, two, tolerance=1e-5) -> None:
    """Equal up to `tolerance` times the largest entry of all."""
    assert one.keys() == two.keys()
    largest = max(gradient.abs().max().item() for gradient in one.values())
    assert largest > 1e-3
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=tolerance * largest, rtol=0, msg=name)
