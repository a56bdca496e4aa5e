"""Small policies that end their responses as known models do."""

import json
from pathlib import Path

import torch
from training_runs import SHAPE

from online_il.models import byte_tokenizer, new_model, save_policy

TOKENS = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>"]
IM_END, TEXT_END, EOT, LLAMA_END, TURN_END = range(259, 264)
BYTE_END = 2


def template(end: str) -> str:
    """A chat template that ends each turn with `end` and a new line."""
    return (
        "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}" + end + "\n{% endfor %}"
        "{% if add_generation_prompt %}<assistant>{% endif %}"
    )


def make(
    folder: Path,
    *,
    eos: str | None = "<eos>",
    config: object = BYTE_END,
    generation: object = None,
    chat: object = None,
    pad: str | None = "<pad>",
    dtype: torch.dtype = torch.float32,
    seed: int = 0,
) -> Path:
    """A policy with these ends: eos_token_id of its two configs (None: no generation config)."""
    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": TOKENS})
    model = new_model(SHAPE, tokenizer, max_length=256, seed=seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 8  # Away from uniform.
    save_policy(model.to(dtype), tokenizer, folder)
    changed(folder / "config.json", eos_token_id=config)
    if generation is None:
        (folder / "generation_config.json").unlink()
    else:
        # Llama's and Qwen2.5's have such settings, too.
        settings = {"repetition_penalty": 1.3, "temperature": 0.6, "top_p": 0.1}
        changed(folder / "generation_config.json", eos_token_id=generation, **settings)
    (folder / "chat_template.jinja").unlink()
    changed(folder / "tokenizer_config.json", eos_token=eos, pad_token=pad, chat_template=chat)
    return folder


def changed(path: Path, **values: object) -> None:
    """Other values in a file of JSON; None takes a key away."""
    content = json.loads(path.read_text()) | values
    path.write_text(json.dumps({key: v for key, v in content.items() if v is not None}))
