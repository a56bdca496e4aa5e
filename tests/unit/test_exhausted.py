"""A full memory, of the machine or of a GPU, ends a program with one line."""

import ast
import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as arrow
import pytest
import torch
import warm
import yaml
from pydantic import create_model

from online_il.config.study import Study
from online_il.errors import InputError
from online_il.program.cli import ProgramOptions, main
from online_il.program.exhausted import KEYS, cause_of
from online_il.records import Prompts, read_table

ROOT = Path(__file__).parents[2]
COMMON = (ROOT / "rules" / "common.smk").read_text()


def ended(program, capsys, name: str = "grpo", **options: object) -> str:
    """The line with which a program ends that raises."""
    fields: dict[str, Any] = {key: (type(value), value) for key, value in options.items()}
    taken = create_model("Options", __base__=ProgramOptions, **fields)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as caught:
        patch.setattr(sys, "argv", [f"{name}.py"])
        main(program, taken, None)
    line = str(caught.value.code)
    assert line.startswith("error: ") and "\n" not in line
    return line


def raising(error: BaseException):
    def program(_: ProgramOptions) -> None:
        raise error

    return program


GPU_TEXT = (
    "CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 79.19 GiB of "
    "which 5.06 MiB is free. Including non-PyTorch memory, this process has 79.17 GiB in use."
)


@pytest.mark.parametrize("name", list(KEYS))
def test_a_gpu_without_memory_is_said_with_the_keys_of_the_program(name, capsys):
    line = ended(raising(torch.OutOfMemoryError(GPU_TEXT)), capsys, name)
    assert "no GPU memory is left" in line and "Tried to allocate 20.00 MiB" in line
    assert f"resources.{KEYS[name][0]}.gpu" in line and KEYS[name][1] in line


@pytest.mark.parametrize(
    "text",
    [
        "No available memory for the cache blocks. Try increasing `gpu_memory_utilization` when "
        "initializing the engine.",
        "Free memory on device cuda:0 (3.1/79.19 GiB) on startup is less than desired GPU memory "
        "utilization (0.9, 71.27 GiB).",
        "To serve at least one request with the models's max seq len (32768), (4.0 GiB KV cache is "
        "needed, which is larger than the available KV cache memory (1.2 GiB).",
    ],
)
def test_what_vllm_says_of_memory_is_understood_through_our_own_error(text, capsys):
    def program(_: ProgramOptions) -> None:
        try:
            raise ValueError(text)
        except ValueError as error:
            raise InputError(f"vLLM cannot run it: {error}") from None

    assert "generation.memory_share" in ended(program, capsys, "evaluate")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        np._core._exceptions._ArrayMemoryError((10**9, 10**3), np.dtype(float)),
        arrow.ArrowMemoryError("malloc of size 64 failed"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't "
                     "allocate memory: you tried to allocate 8000000000 bytes. Error code 12"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        duckdb.OutOfMemoryException("Out of Memory Error: failed to allocate data of size 16 MiB"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_machine_without_memory_is_said_with_what_there_was(error, capsys):
    line = ended(raising(error), capsys, "evaluate")
    assert "no memory is left" in line and "resources.evaluate.mem_mb" in line
    assert re.search(r"[\d.]+ [KMG]iB of [\d.,]+ [KMG]iB are free", line)
    assert "this process held at most" in line
    # Programs without resources in the config do not name a key that does not exist.
    assert "resources" not in ended(raising(error), capsys, "table1")


def test_a_table_is_not_called_damaged_because_memory_ran_out(tmp_path, monkeypatch, capsys):
    def nothing_left(*_: object, **__: object) -> None:
        raise arrow.ArrowMemoryError("malloc of size 8192 failed")

    monkeypatch.setattr("online_il.records.parquet.read_table", nothing_left)
    path = tmp_path / "prompts.parquet"
    line = ended(lambda _: read_table(path, Prompts) and None, capsys, "sft")
    assert "no memory is left" in line and "delete" not in line


HUNGRY = """
import resource, sys
import numpy, torch
from online_il.program.cli import ProgramOptions, main
def program(_):
    held = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (held + 2**26, held + 2**26))
    {what}
sys.argv = ["evaluate.py"]
main(program, ProgramOptions, None)
"""


@pytest.mark.parametrize(
    "what",
    ["torch.zeros(10**9)", "numpy.ones(10**9)", "[0] * 10**9", "'x' * 10**9", "list(range(10**8))"],
)
def test_a_real_program_without_memory_ends_with_the_line(what):
    done = warm.run("-c", HUNGRY.replace("{what}", what))
    (line,) = done.stderr.splitlines()
    assert "no memory is left" in line and "resources.evaluate.mem_mb" in line


# ---- the kernel kills ----


def prefix() -> str:
    """What the rules put before every command."""
    return ast.literal_eval(re.search(r"shell\.prefix(\(.*?\n\))", COMMON, re.DOTALL)[1])


@pytest.mark.parametrize("command", ["bash -c 'kill -9 $$' > {}", "bash -c 'kill -9 $$' | tee {}"])
def test_a_job_that_the_kernel_kills_is_explained(command, tmp_path):
    words = prefix() + command.format(tmp_path / "log")
    done = subprocess.run(["bash", "-c", words], capture_output=True, text=True)
    assert done.returncode == 137
    assert done.stderr.splitlines()[-1].startswith("error: the job was killed (SIGKILL)")
    assert "resources.<rule>.mem_mb" in done.stderr


@pytest.mark.parametrize("status", [0, 1, 75])
def test_a_job_that_ends_by_itself_gets_no_such_line(status):
    done = subprocess.run(
        ["bash", "-c", f"{prefix()} bash -c 'exit {status}'"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (status, "")


@pytest.mark.parametrize(
    "error", [ValueError("no"), OSError(errno.ENOENT, "No such file", "x"), InputError("no")]
)
def test_other_errors_are_not_mistaken(error):
    assert cause_of(error) is None


def test_every_key_that_is_named_exists():
    properties = json.dumps(yaml.safe_load((ROOT / "config" / "schema.json").read_text()))
    assert Study.model_fields["resources"]
    for rule, keys in KEYS.values():
        named = [f"resources.{rule}.mem_mb", *keys.split(", ")]
        for part in {word for key in named for word in key.split(".")}:
            assert f'"{part}"' in properties, part


SAVING = """
import signal, sys, time
def save(*_):
    time.sleep(0.5)
    sys.exit(75)
signal.signal({number}, save)
open("ready", "w").close()
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_the_shell_of_a_job_that_is_asked_to_stop_waits_for_its_program(number, tmp_path):
    (tmp_path / "program.py").write_text(SAVING.format(number=int(number)))
    words = f"{prefix()} {sys.executable} program.py > log"
    job = subprocess.Popen(["bash", "-c", words], cwd=tmp_path, start_new_session=True)
    while not (tmp_path / "ready").exists():
        time.sleep(0.01)
    os.killpg(job.pid, number)  # As Slurm does: all processes of the job.
    assert job.wait(timeout=60) == 75
