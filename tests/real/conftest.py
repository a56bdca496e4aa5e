"""The real model, fetched once into the cache of models."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def policy() -> Path:
    import smollm2

    return smollm2.obtained()


@pytest.fixture(scope="session")
def plain(policy):
    """The model in plain transformers and torch, single precision."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(policy, dtype="float32").eval()
