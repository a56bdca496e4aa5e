"""What the programs of a study find in their environment, by its hardware."""

import os
import sys
import types

import pytest

from online_il.config.generation import Generation
from online_il.generation.vllm_engine import VllmEngine
from online_il.program import environment


@pytest.fixture
def variables(monkeypatch):
    """Gives what `prepare` writes."""

    def prepared(root, hardware: str) -> dict[str, str]:
        with monkeypatch.context() as patch:
            patch.setattr(os, "environ", {"PATH": "/bin"})
            environment.prepare(root, hardware)
            return dict(os.environ)

    return prepared


def test_memory_is_kept_on_a_cpu_and_given_back_beside_a_gpu(variables, tmp_path):
    kept = {"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}
    assert kept <= variables(tmp_path, "cpu").keys()
    assert not kept & variables(tmp_path, "gpu").keys()


@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_vllm_compiles_no_sampler_and_reports_to_nobody(variables, tmp_path, hardware):
    found = variables(tmp_path, hardware)
    assert found["VLLM_USE_FLASHINFER_SAMPLER"] == "0"
    assert found["VLLM_NO_USAGE_STATS"] == "1"


def test_vllm_compiles_no_sampler_where_a_program_is_started_by_hand(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", types.ModuleType("vllm"))
    for given, found in (({}, "0"), ({"VLLM_USE_FLASHINFER_SAMPLER": "1"}, "1")):
        monkeypatch.setattr(os, "environ", dict(given))
        VllmEngine(Generation(engine="vllm", batch_size=4))
        assert os.environ["VLLM_USE_FLASHINFER_SAMPLER"] == found, "a person's word stays"
