"""What keeps a folder from being a model that is trained and sampled here.

Only the small files are read, and of the weights their headers; nothing starts `transformers`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from online_il.integrity import declared_size

INDEX = "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class Fault(NamedTuple):
    """One thing that is wrong with a model's folder."""

    what: str
    """Begins with the file, and its key where it is one."""
    remedy: str
    """Empty where fetching the model again is the remedy."""


def faults(folder: Path) -> Iterator[Fault]:
    """Tell what is wrong with a model's config, weights and tokenizer."""
    config = _json(folder / "config.json")
    if config is None:
        yield _no_config(folder)
    else:
        yield from _config_faults(config)
    yield from _weight_faults(folder)
    yield from _tokenizer_faults(folder, (config or {}).get("vocab_size"))


def _no_config(folder: Path) -> Fault:
    if (folder / "config.json").is_file():
        return Fault("config.json is damaged, not an object of JSON", "")
    if (folder / "adapter_config.json").is_file():
        remedy = "merge it into its base (peft's merge_and_unload) and save the whole model"
        return Fault(f"no config.json in {folder}, but an adapter alone", remedy)
    return Fault(f"no config.json in {folder}", "")


def _config_faults(config: dict[str, Any]) -> Iterator[Fault]:
    yield from _own_code("config.json", config)
    named = config.get("architectures")
    if named and not any(str(one).endswith(("ForCausalLM", "LMHeadModel")) for one in named):
        yield Fault(
            f"config.json: architectures: {', '.join(map(str, named))} is no language model that "
            "writes one token after another",
            "name a model whose architecture ends with ForCausalLM",
        )


def _own_code(file: str, content: dict[str, Any]) -> Iterator[Fault]:
    if named := content.get("auto_map"):
        classes = sorted(map(str, named.values() if isinstance(named, dict) else [named]))
        yield Fault(
            f"{file}: auto_map: {', '.join(classes)} is code of the model's own, which is never "
            "run here",
            "name a model whose classes transformers has; where it has this one's, remove auto_map "
            "from a copy",
        )


def _weight_faults(folder: Path) -> Iterator[Fault]:
    index = folder / INDEX
    if index.is_file():
        try:
            named = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
            weights = sorted(set(map(str, named)))
        except (ValueError, KeyError, TypeError, AttributeError):
            yield Fault(f"{index} is damaged", "")
            return
    else:
        weights = sorted(path.name for path in folder.glob("*.safetensors"))
    if not weights:
        pickled = sorted(path.name for kind in PICKLED for path in folder.glob(kind))
        ggufs = sorted(path.name for path in folder.glob("*.gguf"))
        if pickled or ggufs:
            there = ", ".join([*pickled, *ggufs][:3])
            why = (
                "pickled weights run code and are not read" if pickled else "GGUF is not read here"
            )
            remedy = "write it out with transformers' save_pretrained, which makes safetensors"
            yield Fault(f"no *.safetensors in {folder}, but {there}: {why}", remedy)
        else:
            yield Fault(f"no *.safetensors in {folder}", "")
    for weight in weights:
        path = folder / weight
        if not path.is_file():
            yield Fault(f"no {weight} in {folder}", "")
        elif declared_size(path) != path.stat().st_size:
            size = path.stat().st_size
            pointer = size < 1024 and path.read_bytes().startswith(b"version https://git-lfs")
            what = (
                "a pointer of git-lfs" if pointer else f"no whole safetensors file ({size} bytes)"
            )
            yield Fault(f"{weight} is {what}", "run `git lfs pull` there" if pointer else "")


def _tokenizer_faults(folder: Path, width: Any) -> Iterator[Fault]:
    settings = _json(folder / "tokenizer_config.json")
    if settings is None and (folder / "tokenizer_config.json").is_file():
        yield Fault("tokenizer_config.json is damaged, not an object of JSON", "")
    yield from _own_code("tokenizer_config.json", settings or {})
    path = folder / "tokenizer.json"
    content = _json(path)
    if content is None:
        if path.is_file():
            yield Fault("tokenizer.json is damaged, not an object of JSON", "")
            return
        other = [
            n for n in ("tokenizer.model", "vocab.json", "vocab.txt") if (folder / n).is_file()
        ]
        remedy = "load it with AutoTokenizer and save_pretrained it there" if other else ""
        but = f", but {', '.join(other)}, which is not read" if other else ""
        yield Fault(f"no tokenizer.json in {folder}{but}", remedy)
        return
    highest = _highest_id(content)
    if highest is not None and isinstance(width, int) and highest >= width:
        yield Fault(
            f"tokenizer.json has a token of id {highest}, and config.json: vocab_size: {width} "
            "gives it no row of the embedding",
            "take tokenizer and weights of one model",
        )


def _highest_id(tokenizer: dict[str, Any]) -> int | None:
    """Find the largest id of a tokenizer; None where it is of another form than is known."""
    try:
        known = tokenizer["model"]["vocab"]
        ids = [*known.values()] if isinstance(known, dict) else [len(known) - 1]
        ids += [int(one["id"]) for one in tokenizer.get("added_tokens") or []]
        return int(max(ids))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # Who loads it says what is wrong.


def _json(path: Path) -> dict[str, Any] | None:
    """Read an object of JSON; None where there is no file, or something else in it."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
