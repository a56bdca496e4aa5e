"""Policies that vLLM's CPU build can run (it needs heads of 32), and what skips without it."""

import importlib.util
from pathlib import Path

import pytest
import torch

from online_il.config.architecture import Architecture
from online_il.models import new_model, save_policy, word_tokenizer
from online_il.tasks.miniature import VOCABULARY

needs_vllm = pytest.mark.skipif(
    importlib.util.find_spec("vllm") is None,
    reason="vLLM is not installed here; make test-vllm installs it and runs these",
)
PROMPTS = ["<bos> 3 12 4 T 19 :", "<bos> 5 6 T 30 :", "<bos> F 98 7 :", "<bos> 1 2 3 4 T 10 :"]
CHOICES = [[" 5", " 7", " 11"], [" 5 6", " 7"], [" 1", " 2 <eos>"], [" 9", " 3"]]
SHAPE = Architecture(hidden_size=64, intermediate_size=96, layers=2, heads=2, head_dim=32)


def make_policy(folder: Path, seed: int, tied: bool = True) -> Path:
    """A saved policy of the miniature's vocabulary, far from uniform."""
    tokenizer = word_tokenizer(VOCABULARY)
    model = new_model(SHAPE, tokenizer, max_length=128, seed=seed)
    if not tied:
        model.config.tie_word_embeddings = False
        torch.manual_seed(seed)
        model = type(model)(model.config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4
    save_policy(model, tokenizer, folder)
    return folder
