"""Checks of a node without its GPUs: the packages, the disk, the caches."""

import os
import re
import shutil
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from online_il import hub
from online_il.config.hub import DataSet, Model, Package, Tokenizer
from online_il.config.study import Study
from online_il.errors import InputError
from online_il.files import flush
from online_il.preflight.toolchain import Unfit
from online_il.program.exhausted import nearest_folder, size

ENVS = Path(__file__).parents[3] / "envs"
PIN = re.compile(r"^([\w.-]+)(?:\[\w+\])?==(\S+)")
WRITTEN = 64 * 2**20
"""Bytes that are written to try a folder."""
LEAST_FREE = 5 * 2**30
"""Free bytes that a folder of compiled kernels should have."""
LEAST_SHARED = 2**30
"""Bytes of /dev/shm that the processes of a job share."""


def packages(study: Study) -> str:
    """Say which Python runs the jobs; every package of its list must be there as it is pinned."""
    listed = ENVS / f"{study.hardware}.txt"
    wrong, count = [], 0
    for line in listed.read_text().splitlines():
        if pin := PIN.match(line):
            count += 1
            try:
                there = version(pin[1]).partition("+")[0]
            except PackageNotFoundError:
                there = "not there"
            if there != pin[2]:
                wrong.append(f"{pin[1]} is {there}, not {pin[2]}")
    if wrong:
        target = "setup-gpu" if study.hardware == "gpu" else "setup"
        more = f" and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise Unfit(
            f"{sys.prefix} is not the environment of envs/{listed.name}: "
            f"{', '.join(wrong[:4])}{more}",
            f"run `make {target}` where this node sees it, or give --sdm apptainer or conda",
        )
    return f"{count} packages as pinned, in {sys.prefix}"


def disk(study: Study, results: Path) -> str:
    """Say how fast the results' disk is; it and the caches must be there to write to, and large."""
    speed = _written(
        results, "make `results` a link to a disk that this node sees and may write to"
    )
    free = shutil.disk_usage(results).free
    told = [f"results: {speed / 2**20:,.0f} MiB/s, {size(free)} free"]
    if study.hardware == "gpu":
        for variable, folder in caches().items():
            remedy = f"export {variable}=/a/folder/on/a/large/disk before you start"
            _written(folder, remedy)
            if (left := shutil.disk_usage(folder).free) < LEAST_FREE:
                raise Unfit(f"{folder} has {size(left)} free, for compiled kernels", remedy)
        told.append("caches: " + ", ".join(str(folder) for folder in caches().values()))
        shared = Path("/dev/shm")
        if shared.is_dir() and (given := shutil.disk_usage(shared).total) < LEAST_SHARED:
            raise Unfit(
                f"/dev/shm has {size(given)}, and processes share tensors in it",
                "start the container with more (docker: --shm-size=16g)",
            )
    told.append(_hub(study))
    return "; ".join(told)


def caches() -> dict[str, Path]:
    """Give the folders in which kernels are kept, by the variable that moves each."""
    home = Path.home()
    general = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    known = {"VLLM_CACHE_ROOT": general / "vllm", "TRITON_CACHE_DIR": home / ".triton" / "cache"}
    return {name: Path(os.environ.get(name) or folder) for name, folder in known.items()}


def _written(folder: Path, remedy: str) -> float:
    """Write a file in a folder, link it, and give the speed, bytes a second. Raises `Unfit`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".probe-") as place:
            file, start = Path(place) / "written", time.perf_counter()
            file.write_bytes(os.urandom(2**20) * (WRITTEN // 2**20))
            flush(file)
            seconds = time.perf_counter() - start
            if file.stat().st_size != WRITTEN:
                raise Unfit(f"{folder}: a file that was written is shorter than it was", remedy)
    except OSError as error:
        raise Unfit(f"{folder} cannot be written to ({error.strerror or error})", remedy) from None
    return WRITTEN / max(seconds, 1e-9)


def _hub(study: Study) -> str:
    """Say where the hub's files lie; what is still to be fetched must not go to the home folder."""
    sources = [one for one in hub.named_in(study) if not isinstance(one, Package)]
    sources = [one for one in sources if one.folder is None]
    if not sources:
        return "nothing of the hub is needed"
    missing = [one.short for one in sources if not _fetched(one)]
    place = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface")
    if missing and not os.environ.get("HF_HOME"):
        home = shutil.disk_usage(nearest_folder(place))
        raise Unfit(
            f"HF_HOME is not set, so that {len(missing)} models and data sets still to be fetched "
            f"({missing[0]} first) would go to {place}, and homes are small ({size(home.free)} "
            "free on its disk, whatever the quota)",
            "export HF_HOME=/a/folder/on/a/large/disk (in your shell's profile, too), then make "
            "download-paper",
        )
    here = len(sources) - len(missing)
    return f"{here} of {len(sources)} models and data sets of the hub in {place}"


def _fetched(source: Model | DataSet) -> bool:
    try:
        if isinstance(source, DataSet):
            hub.files(source)
        elif isinstance(source, Tokenizer):
            hub.tokenizer_folder(source)
        else:
            hub.model_folder(source)
    except InputError:
        return False
    return True
