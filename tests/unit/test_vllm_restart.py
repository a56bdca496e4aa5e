"""vLLM is started once what the one before it held is free; on a real GPU: `snakemake probe`."""

import json
import subprocess

import pytest

from online_il.config.generation import Generation
from online_il.generation import vllm_engine
from online_il.generation.vllm_engine import VllmEngine


@pytest.fixture
def memory(monkeypatch):
    """A GPU whose used memory is read off a list, a value a second; gives what was slept."""
    values, slept = [], []

    def answer(command, **_):
        assert command[0] == "nvidia-smi"
        now = values.pop(0) if len(values) > 1 else values[0]
        return subprocess.CompletedProcess(command, 0, f"{now}\n{7}\n", "")

    monkeypatch.setattr(vllm_engine.subprocess, "run", answer)
    monkeypatch.setattr(vllm_engine.time, "monotonic", lambda: float(sum(slept)))
    monkeypatch.setattr(vllm_engine.time, "sleep", slept.append)
    return values, slept


@pytest.mark.parametrize(
    ("used", "seconds"),
    [([500], 1), ([70_000, 40_000, 500, 500], 3), ([500, 60_000, 500, 500], 3)],
)
def test_it_waits_until_memory_stays_as_it_is(memory, used, seconds):
    values, slept = memory
    values += used
    vllm_engine.wait_for_memory()
    assert sum(slept) == seconds


def test_it_does_not_wait_forever_beside_another_program(memory):
    values, slept = memory
    values += list(range(1_000))
    vllm_engine.wait_for_memory()
    assert sum(slept) == vllm_engine.SETTLING_SECONDS


def test_a_machine_without_nvidias_program_waits_for_nothing(monkeypatch):
    def lacking(*_, **__):
        raise FileNotFoundError("nvidia-smi")

    monkeypatch.setattr(vllm_engine.subprocess, "run", lacking)
    monkeypatch.setattr(vllm_engine.time, "sleep", lambda _: pytest.fail("it waits"))
    vllm_engine.wait_for_memory()


def test_every_start_waits_after_the_one_before_was_stopped(monkeypatch, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"tie_word_embeddings": True}))
    done = []
    engine = VllmEngine.__new__(VllmEngine)
    engine._settings, engine._llm = Generation(engine="vllm", batch_size=1), object()
    engine._shape = {"tie_word_embeddings": True}
    monkeypatch.setattr(vllm_engine, "Tokens", lambda policy: None)
    monkeypatch.setattr(vllm_engine, "wait_for_memory", lambda: done.append("wait"))
    monkeypatch.setattr(VllmEngine, "close", lambda self: done.append("stop"))
    monkeypatch.setattr(VllmEngine, "_start", lambda self, *_: done.append("start"))
    engine.load(tmp_path)
    assert done == ["stop", "wait", "start"]
