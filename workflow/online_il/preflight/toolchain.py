"""What the packages of the GPU environment need of a machine: a driver, a C compiler, Python.h.

PyPI's wheels of torch and vLLM are built with CUDA 13, whose oldest driver is 580 (CUDA Toolkit 13
release notes, table of drivers). Triton compiles a little C for each machine: it takes $CC, else
gcc, else clang, and Python's own headers (triton/runtime/build.py).
"""

import ctypes
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from online_il.config.study import Study
from online_il.preflight.report import Report

LEAST_DRIVER = 580
CUDA = 13
SECONDS = 30
"""The longest that the driver's program or a compiler may take."""
SOURCE = """
#include <Python.h>
static struct PyModuleDef tried = {PyModuleDef_HEAD_INIT, "tried", NULL, -1, NULL};
PyMODINIT_FUNC PyInit_tried(void) { return PyModule_Create(&tried); }
"""
ELSEWHERE = "start on a node with an NVIDIA GPU; on a cluster: snakemake probe --profile slurm"


class Unfit(Exception):
    """Something here does not do for the jobs: what was found, and what to do about it."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(f"{found}; {remedy}")
        self.found, self.remedy = found, remedy


def driver() -> str:
    """Say which driver and GPUs are here. Raises `Unfit` for none, or one that is too old."""
    command = ["nvidia-smi", "--query-gpu=driver_version,name", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except OSError:
        raise Unfit(
            "there is no nvidia-smi here, and so no driver of NVIDIA's", ELSEWHERE
        ) from None
    except subprocess.TimeoutExpired:
        remedy = (
            "a GPU of this node hangs: tell the site, and leave the node out (sbatch --exclude)"
        )
        raise Unfit(f"nvidia-smi gives no answer in {SECONDS} s", remedy) from None
    rows = [line.split(",", 1) for line in done.stdout.splitlines() if line.count(",")]
    if done.returncode != 0 or not rows:
        said = " ".join((done.stdout + done.stderr).split())[:160] or "it lists no GPU"
        raise Unfit(f"nvidia-smi fails (status {done.returncode}): {said}", ELSEWHERE)
    version, name = (part.strip() for part in rows[0])
    cards = f"{len(rows)} x {name}"
    major = version.split(".")[0]
    if not major.isdigit():
        raise Unfit(f"nvidia-smi names no version of the driver ({version[:40]})", ELSEWHERE)
    if int(major) >= LEAST_DRIVER:
        return f"driver {version}, {cards}"
    known = cuda_of_library() or 0
    if known >= 1000 * CUDA:
        return f"driver {version} with a compatibility library for CUDA {CUDA}, {cards}"
    raise Unfit(
        f"driver {version}, and the wheels are built with CUDA {CUDA}, which needs {LEAST_DRIVER} "
        "or newer",
        "ask for nodes with a newer driver; where the site cannot update it, NVIDIA's cuda-compat "
        f"for CUDA {CUDA} in LD_LIBRARY_PATH serves on data-centre GPUs",
    )


def cuda_of_library() -> int | None:
    """Ask the driver's library which CUDA it speaks, 13000 for 13.0; None where it is not here."""
    number = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(number))
    except (OSError, AttributeError):
        return None
    return None if failed else number.value


def compiler() -> str:
    """Compile and load a module as Triton does, and say with what. Raises `Unfit`."""
    asked = os.environ.get("CC")
    found = asked or shutil.which("gcc") or shutil.which("clang")
    if not found or shutil.which(shlex.split(found)[0]) is None:
        lack = f"CC is {asked}, which is not here" if asked else "there is no gcc and no clang here"
        raise Unfit(
            f"{lack}: Triton compiles with one",
            "load the site's (module load gcc), install one (conda install gcc), or set CC",
        )
    headers = sysconfig.get_paths()["include"]
    if not (Path(headers) / "Python.h").is_file():
        raise Unfit(
            f"there is no Python.h in {headers}: Triton compiles against it",
            "install Python's headers (python3.11-dev or python3.11-devel), or make .venv-gpu of a "
            "Python that brings them, as conda's and uv's do: make setup-gpu PYTHON=/path/to/it",
        )
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "tried.c"
        made = source.with_name("tried" + (sysconfig.get_config_var("EXT_SUFFIX") or ".so"))
        source.write_text(SOURCE)
        command = [*shlex.split(found), str(source), "-shared", "-fPIC", f"-I{headers}"]
        try:
            done = subprocess.run(
                [*command, "-o", str(made)], capture_output=True, text=True, timeout=SECONDS
            )
        except subprocess.TimeoutExpired:
            raise Unfit(f"{found} gives no answer in {SECONDS} s", "set CC to another") from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or [done.stderr]
            remedy = "set CC to a compiler that finds its own headers and linker (glibc's headers)"
            raise Unfit(f"{found} cannot compile: {lines[0].strip()[:160]}", remedy)
        try:
            spec = importlib.util.spec_from_file_location("tried", made)
            if spec is None or spec.loader is None:
                raise ImportError(f"{made.name} is no module's name")
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        except ImportError as error:
            raise Unfit(
                f"what was compiled cannot be loaded ({' '.join(str(error).split())[:120]})",
                "set TMPDIR and TRITON_CACHE_DIR to folders from which programs may be run",
            ) from None
    return f"{found}, Python.h of {sys.version.split()[0]}"


def check_toolchain(study: Study, report: Report, cluster: bool) -> None:
    """Check driver and compiler where jobs run on this machine; else say what its nodes need."""
    if study.hardware != "gpu":
        return
    if cluster:
        report.notes.append(
            f"nodes with GPUs need a driver from {LEAST_DRIVER} on, a C compiler and Python.h, "
            "which is not known of them here: snakemake probe --profile slurm tries it there"
        )
        return
    for name, look in (("driver", driver), ("compiler", compiler)):
        try:
            report.notes.append(f"{name}: {look()}")
        except Unfit as lack:
            report.problem(name, lack.found, lack.remedy)
