"""Models and runs that several test files look at; each file makes its own.

What takes seconds to import, torch and what trains, is imported by the fixtures: the process that
hands out the tests needs none of it.
"""

import pytest
from hypothesis import settings

# Examples are slow beside other work; no test asserts a time.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

STARTERS = ("Program", "snakemake", "subprocess", "warm")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of files that start programs as slow: `make test-fast` leaves them out."""
    for item in items:
        if any(hasattr(item.module, name) for name in STARTERS):
            item.add_marker("slow")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    own = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "model" in metafunc.fixturenames and not any("model" in names for names in own):
        from decode_models import MODELS

        metafunc.parametrize("model", MODELS, indirect=True, scope="module")


@pytest.fixture(scope="module")
def grpo_run(tmp_path_factory):
    """Two rollout batches, two updates each."""
    from training_runs import recorded, run_grpo

    from online_il.training import grpo

    folder = tmp_path_factory.mktemp("grpo")
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, grpo, lambda: run_grpo(folder))


@pytest.fixture(scope="module")
def grpo_run_without_entropy(tmp_path_factory):
    from training_runs import GRPO, recorded, run_grpo

    from online_il.training import grpo

    folder = tmp_path_factory.mktemp("grpo0")
    settings = GRPO.model_copy(update={"entropy_coefficient": 0.0})
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, grpo, lambda: run_grpo(folder, settings, steps=1))


@pytest.fixture(scope="module")
def distill_run(tmp_path_factory):
    from training_runs import recorded, run_distill

    from online_il.training import distill

    folder = tmp_path_factory.mktemp("distill")
    with pytest.MonkeyPatch.context() as patch:
        return recorded(patch, distill, lambda: run_distill(folder))


@pytest.fixture(scope="module")
def model(request):
    from decode_models import MODELS, make

    return make(*MODELS[request.param])


@pytest.fixture(scope="module")
def qwen():
    from decode_models import MODELS, make

    return make(*MODELS["qwen2 gqa"])
