"""Models and runs that several test files look at; each file makes its own."""

import pytest
from decode_models import MODELS, make
from training_runs import GRPO, recorded, run_distill, run_grpo

from online_il.training import distill, grpo


@pytest.fixture(scope="module")
def grpo_run(tmp_path_factory):
    """Two rollout batches, two updates each."""
    folder = tmp_path_factory.mktemp("grpo")
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, grpo, lambda: run_grpo(folder))


@pytest.fixture(scope="module")
def grpo_run_without_entropy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("grpo0")
    settings = GRPO.model_copy(update={"entropy_coefficient": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, grpo, lambda: run_grpo(folder, settings, steps=1))


@pytest.fixture(scope="module")
def distill_run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distill")
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, distill, lambda: run_distill(folder))


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return make(*MODELS[request.param])


@pytest.fixture(scope="module")
def qwen():
    return make(*MODELS["qwen2 gqa"])
