"""Writes a policy as a folder that plain transformers reads as the study does."""

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from online_il.chat import prompt_ids
from online_il.ends import end_ids
from online_il.errors import InputError
from online_il.export.card import card
from online_il.export.published import Published
from online_il.files import flush, made_aside
from online_il.layout import PARTS
from online_il.models import GENERATION, load_tokenizer, model_config
from online_il.records import Samples, read_table

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

KEPT = ("*.json", "*.jinja", "*.txt", "*.model", PARTS)
COMPARED = 200
"""So many prompts of each split, and so many responses, are read by both tokenizers."""


def export(policy: Published, output: Path) -> None:
    """Write a policy with a model card to a folder that must not be there.

    Its tokens are tried: `AutoTokenizer` reads the study's prompts and responses as the study did,
    or `InputError` is raised and nothing written.
    """
    if output.exists():
        raise InputError(f"{output}: is there already; delete it, or name another folder")
    with made_aside(output) as aside:
        for pattern in KEPT:
            for path in sorted(policy.folder.glob(pattern)):
                shutil.copyfile(path, aside / path.name)
        _make_plain(policy, aside)
        _write_json(aside / GENERATION, generation_settings(policy, aside))
        (aside / "README.md").write_text(card(policy, aside), encoding="utf-8")
        for path in aside.iterdir():
            path.chmod(0o644)
            flush(path)


def generation_settings(policy: Published, folder: Path) -> dict[str, Any]:
    """Say how a policy generates unless told: as it was evaluated, up to each of its ends."""
    config, tokenizer = model_config(folder), load_tokenizer(folder)
    found = {
        "bos_token_id": config.get("bos_token_id"),
        "eos_token_id": end_ids(folder),
        "pad_token_id": tokenizer.pad_token_id,
        "transformers_version": config.get("transformers_version"),
    }
    if policy.sampled:
        sampling = policy.sampled[0].record.sampling_settings
        found["max_new_tokens"] = sampling["max_new_tokens"]
        found["do_sample"] = sampling["temperature"] > 0
        if found["do_sample"]:
            found |= {key: sampling[key] for key in ("temperature", "top_k", "top_p")}
    return {key: value for key, value in sorted(found.items()) if value is not None}


def _make_plain(policy: Published, folder: Path) -> None:
    """See to it that `AutoTokenizer` takes the tokenizer that lies in the folder."""
    config = model_config(folder)
    text = read_otherwise(policy, folder)
    if text is not None and (other := of_another_type(config)) is not None:
        _write_json(folder / "config.json", other)
        text = read_otherwise(policy, folder)
    if text is not None:
        raise InputError(
            f"{policy.folder}: transformers' AutoTokenizer reads {text[:60]!r} as other tokens "
            f"than the study, for its config.json: model_type is {config.get('model_type')!r}; "
            "read the tokenizer in it with PreTrainedTokenizerFast"
        )


def read_otherwise(policy: Published, folder: Path) -> str | None:
    """Find a text of the study that `AutoTokenizer` reads as other tokens, or writes otherwise."""
    from transformers import AutoTokenizer

    own = load_tokenizer(policy.folder)
    plain = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    prompts = policy.prompts.groupby("split").head(COMPARED)["text"].tolist()
    for text, theirs, ours in zip(
        prompts, prompt_ids(plain, prompts), prompt_ids(own, prompts), strict=True
    ):
        if theirs != ours:
            return str(text)
    for text in _responses(policy):
        if _there_and_back(plain, text) != _there_and_back(own, text):
            return text
    return None


def _responses(policy: Published) -> Iterable[str]:
    if not policy.sampled:
        return []
    return list(read_table(policy.sampled[0].responses, Samples)["text"][:COMPARED])


def _there_and_back(tokenizer: "PreTrainedTokenizerFast", text: str) -> tuple[list[int], str]:
    ids = tokenizer.encode(text, add_special_tokens=False)
    return ids, tokenizer.decode(ids, skip_special_tokens=True)


def of_another_type(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """Describe a model of type `qwen2` as `seed_oss`, which computes the same of the same weights.

    For that type has no tokenizer of its own that `AutoTokenizer` could take. None for a model of
    another type, or with a sliding window.
    """
    if config.get("model_type") != "qwen2" or config.get("use_sliding_window"):
        return None
    windows = {"layer_types", "max_window_layers", "sliding_window", "use_sliding_window"}
    heads = config["num_attention_heads"]
    return {key: value for key, value in config.items() if key not in windows} | {
        "model_type": "seed_oss",
        "architectures": ["SeedOssForCausalLM"],
        "attention_bias": True,
        "attention_out_bias": False,
        "attention_dropout": config.get("attention_dropout", 0.0),
        "residual_dropout": 0.0,
        "mlp_bias": False,
        "num_key_value_heads": config.get("num_key_value_heads") or heads,
        "head_dim": config.get("head_dim") or config["hidden_size"] // heads,
    }


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
