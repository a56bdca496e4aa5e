"""The paper's Countdown on a GPU: two steps of each method, and memory against the estimate.

Needs one GPU of 24 GB or more and the packages of envs/gpu.txt (`make setup-gpu`):
`.venv-gpu/bin/pytest tests/gpu`. Weights are random, at an architecture of Qwen2.5's with as many
blocks as the GPU takes (tests/common/gpu_sizes.py): all methods are tried on 24 GB as on 80.
"""

from pathlib import Path

import pytest
from gpu_sizes import fitting
from programs import most_held, write_prompts

from online_il.config.plan import ModelShape

torch = pytest.importorskip("torch")
LEAST_GIB = 20
pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available() or torch.cuda.mem_get_info()[1] < LEAST_GIB * 2**30,
    reason="needs a GPU of 24 GB",
)

TOLERANCE = 0.2
"""How far the peak may be from the preflight's estimate, as a share of it."""


def write_policies(folder: Path, shape: ModelShape) -> Path:
    """Two random models of a shape, and prompts."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

    from online_il.models import byte_tokenizer, save_policy

    tokenizer = byte_tokenizer()
    config = Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.positions,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="bfloat16",
    )
    for name, seed in (("base", 0), ("expert", 1)):
        set_seed(seed)
        model = Qwen2ForCausalLM(config).to(torch.bfloat16)
        save_policy(model, tokenizer, folder / name / "step0")
    write_prompts(folder / "prompts.parquet")
    return folder


@pytest.mark.parametrize("method", ["grpo", "sft", "distill"])
def test_two_steps_with_the_papers_batch_take_the_memory_that_was_estimated(method, tmp_path):
    there = torch.cuda.mem_get_info()[1] / 2**30
    trained = fitting(method, there)
    policies = write_policies(tmp_path / "policies", trained.shape)
    settings = trained.settings.model_copy(update={"checkpoints": [2]})
    peak = most_held(method, policies, tmp_path, settings, trained.study.generation)
    assert peak == pytest.approx(trained.estimate.peak, rel=TOLERANCE)
