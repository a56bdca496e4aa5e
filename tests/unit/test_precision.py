"""On a CPU everything is in single precision, whatever precision a model is stored in."""

import json
from typing import ClassVar

import pytest
import torch
from ending_policies import make, template
from in_process import run
from safetensors.torch import load_file
from test_ends import command, inputs
from training_runs import LOOP

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.generation import decode, vllm_engine
from online_il.generation.engines import open_engine
from online_il.models import inference_dtype, load_model, model_config
from online_il.training import distill as distill_training
from online_il.training import grpo as grpo_training

HALF = [torch.bfloat16, torch.float16]
PROMPTS = ["1 + 1 =", "the sum of 2 and 3 is", "x"]


@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_the_engines_draw_the_same_from_half_precision(tmp_path, dtype):
    """The loop ended with a traceback, and transformers computed in half precision."""
    policy = make(tmp_path / "step0", chat=template(""), dtype=dtype)
    assert {t.dtype for t in load_file(policy / "model.safetensors").values()} == {dtype}
    keys = [(0, 0), (1, 0), (2, 0), (2, 1)]
    prompts = [PROMPTS[prompt] for prompt, _ in keys]
    drawn = []
    for name in ("loop", "transformers"):
        engine = open_engine(Generation(engine=name, batch_size=4))
        engine.load(policy)
        drawn.append(
            engine.respond(
                prompts, keys, sampling=Sampling(temperature=1.0, max_new_tokens=12), seed=3
            )
        )
        scores = engine.loglikelihoods(PROMPTS, [[" a", " bc"]] * 3)
        drawn.append([round(score, 4) for row in scores for score in row])
    assert drawn[0] == drawn[2]
    assert drawn[1] == pytest.approx(drawn[3], abs=2e-4)
    # The same weights in single precision, by transformers' own forward pass.
    ids = engine._tokens.prompt(PROMPTS[0])  # type: ignore[attr-defined]
    more = engine._tokens.prompt(" bc")  # type: ignore[attr-defined]
    with torch.inference_mode():
        logits_T_V = load_model(policy, "float32")(torch.tensor([[*ids, *more]])).logits[0]
    logp = logits_T_V.log_softmax(-1)[len(ids) - 1 : -1].gather(-1, torch.tensor(more)[:, None])
    assert drawn[1][1] == pytest.approx(logp.sum().item(), abs=2e-3)


def test_quantised_weights_are_refused_by_the_loop_not_read_as_numbers():
    config = {"model_type": "llama", "quantization_config": {"quant_method": "fp8"}}
    with pytest.raises(ValueError, match=r"quantised.*engine"):
        decode.decoder({}, config)


@pytest.mark.parametrize("method", ["sft", "grpo", "distill"])
@pytest.mark.slow
def test_a_half_precision_base_trains_in_single_precision(tmp_path, monkeypatch, method):
    """One update at 1e-6 moves nearly all weights; in bfloat16 it would round most of them back."""
    monkeypatch.setattr(grpo_training, "resume", Peek(grpo_training.resume))
    monkeypatch.setattr(distill_training, "resume", Peek(distill_training.resume))
    base = make(tmp_path / "base" / "step0", chat=template(""), dtype=torch.bfloat16)
    make(tmp_path / "teacher" / "step0", chat=template(""), dtype=torch.bfloat16, seed=1)
    arguments = command(method, inputs(tmp_path))
    if method == "distill":
        arguments[arguments.index(tmp_path / "base")] = tmp_path / "teacher"
    if method == "grpo":  # Random bytes earn no reward.
        monkeypatch.setattr("online_il.grading.reward", lambda prompts, **_: [0.0, 1.0])
    run(method, *arguments)
    policy = tmp_path / method / "checkpoints" / "step1"
    assert model_config(policy)["dtype"] == "float32"
    before, after = (load_file(folder / "model.safetensors") for folder in (base, policy))
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}
    assert before.keys() == after.keys()
    # What has a gradient: of the embedding's rows all, for they give the logits, too.
    moved = sum(int((after[n] != before[n].float()).sum()) for n in before)
    assert moved > 0.9 * sum(tensor.numel() for tensor in before.values())
    record = json.loads((tmp_path / method / "run.json").read_text())
    assert record["settings"]["hardware"] == "cpu"
    for kind, dtype in Peek.seen:
        assert dtype == torch.float32, kind


class Peek:
    """`online_il.training.resume`, with a look at the models that train with the policy."""

    seen: ClassVar[list[tuple[str, torch.dtype]]] = []

    def __init__(self, module) -> None:
        self._module = module

    def train(self, trainer, *rest) -> None:
        Peek.seen.clear()
        for name in ("model", "ref_model", "teacher_model"):
            if getattr(trainer, name, None) is not None:
                Peek.seen.append((name, getattr(trainer, name).dtype))
        assert len(Peek.seen) == 2
        self._module.train(trainer, *rest)


def test_on_a_gpu_a_policy_computes_as_it_is_stored():
    assert inference_dtype(True) == "auto" and inference_dtype(False) == "float32"


@pytest.mark.parametrize(("gpus", "dtype"), [(0, "float32"), (1, "bfloat16")])
def test_vllm_computes_in_single_precision_without_a_gpu(tmp_path, monkeypatch, gpus, dtype):
    started = []

    class Fake:
        @staticmethod
        def LLM(**options):
            started.append(options)

    monkeypatch.setattr(vllm_engine, "visible_gpus", lambda: gpus)
    engine = object.__new__(vllm_engine.VllmEngine)
    engine._vllm, engine._settings = Fake, LOOP
    engine._start(tmp_path, {"dtype": "bfloat16"})
    assert started[0]["dtype"] == dtype
