"""The paper's Countdown on a GPU: two steps of each method, and memory against the estimate.

Needs one GPU of 80 GB and the packages of envs/gpu.txt (`make setup-gpu`):
`.venv-gpu/bin/pytest tests/gpu`. Weights are random, at Qwen2.5-3B's architecture.
"""

from pathlib import Path

import pytest
from programs import ROOT, most_held, write_prompts

from online_il.config.study import Study, load
from online_il.preflight.memory import training_memory

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

TOLERANCE = 0.2
"""How far the peak may be from the preflight's estimate, as a share of it."""


@pytest.fixture(scope="module")
def policies(tmp_path_factory) -> Path:
    """Two random models of Qwen2.5-3B's shape, and prompts."""
    from transformers import Qwen2Config, Qwen2ForCausalLM, set_seed

    from online_il.models import byte_tokenizer, save_policy

    folder = tmp_path_factory.mktemp("policies")
    tokenizer = byte_tokenizer()
    config = Qwen2Config(
        vocab_size=151_936,
        hidden_size=2_048,
        intermediate_size=11_008,
        num_hidden_layers=36,
        num_attention_heads=16,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
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


def on_one_gpu() -> Study:
    """The paper's study, with every job of Countdown on one GPU."""
    one = {rule: {"gpu": 1} for rule in ("grpo", "sft", "distill")}
    return load(ROOT / "config" / "paper.yaml", {"resources": one})


@pytest.mark.parametrize("method", ["grpo", "sft", "distill"])
def test_two_steps_with_the_papers_batch_take_the_memory_that_was_estimated(
    method, policies, tmp_path
):
    study = on_one_gpu()
    (task,) = [task for task in study.tasks if task.name == "countdown"]
    assert study.plan is not None
    estimate = training_memory(study, study.plan, task)[method].peak
    there = torch.cuda.mem_get_info()[1]
    if estimate > there:
        pytest.skip(f"needs {estimate / 2**30:.0f} GiB, and the GPU has {there / 2**30:.0f}")
    settings = getattr(task.methods, method).model_copy(update={"checkpoints": [2]})
    peak = most_held(method, policies, tmp_path, settings, study.generation)
    assert peak == pytest.approx(estimate, rel=TOLERANCE)
