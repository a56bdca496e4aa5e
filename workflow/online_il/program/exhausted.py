"""Says in one line that the disk, the memory or a GPU's memory ran out.

The libraries say it each in their own way: as an `OSError`, as `MemoryError`, as an error of their
own with the system's words in it. The line names what was needed, what there was, and the keys of
the config to turn. A process that the kernel kills for memory cannot speak; the rules speak
for it.
"""

import argparse
import errno
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from online_il.methods import METHODS

_DISK = re.compile(
    r"No space left on device|Disk quota exceeded|os error (28|122)\b"
    # torch.save does not say why on a full disk, but that not all was written.
    r"|PytorchStreamWriter failed writing|inline_container\.cc.*(file write failed|unexpected pos)"
    r"|basic_ios::clear: iostream error"
    r"|Could not write (all|file)",
    re.DOTALL,
)
_GPU = re.compile(
    r"CUDA out of memory|CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|HIP out of memory"
    r"|No available memory for the cache blocks|KV cache is needed"
    r"|Free memory on device .* is less than desired",
    re.DOTALL,
)
_MEMORY = re.compile(
    r"can't allocate memory|Cannot allocate memory|std::bad_alloc|bad allocation"
    r"|Out of Memory Error|memory allocation of \d+ bytes failed"
)
KEYS = {
    "pretrain": ("pretrain", "base.micro_batch_size"),
    "finetune": ("finetune", "base.finetuning.micro_batch_size, base.finetuning.max_length"),
    **{name: (name, ", ".join(method.memory_keys)) for name, method in METHODS.items()},
    "sample": ("sample", "generation.batch_size"),
    "evaluate": ("evaluate", "generation.batch_size"),
}
"""Per program: the rule whose `resources` it has, and the keys that say how much it holds."""
SHARES = {
    **{name: "generation.colocated_share" for name, m in METHODS.items() if m.on_policy},
    "sample": "generation.memory_share",
    "evaluate": "generation.memory_share",
}
"""Per program: which share of a GPU vLLM takes in it."""


class Exhausted(Exception):
    """The disk or the memory ran out; the text says all that a person needs."""


def cause_of(error: BaseException) -> tuple[str, BaseException] | None:
    """Return ("disk", "gpu" or "memory", the error that says so) where one of them ran out."""
    for one in _chain(error):
        text, number = str(one), getattr(one, "errno", None)
        if number in (errno.ENOSPC, errno.EDQUOT) or _DISK.search(text):
            return "disk", one
        if type(one).__name__ == "OutOfMemoryError" or _GPU.search(text):
            return "gpu", one
        if isinstance(one, MemoryError) or number == errno.ENOMEM or _MEMORY.search(text):
            return "memory", one
    return None


def sentence(error: BaseException, options: argparse.Namespace, program: str) -> str | None:
    """Write the line for an error whose cause is that something ran out; None for any other error.

    `program` is the script's name, `options` are its arguments: their paths say which disk.
    """
    found = cause_of(error)
    if found is None:
        return None
    what, cause = found
    if what == "disk":
        return _disk(cause, error, options)
    return _gpu(cause, program) if what == "gpu" else _memory(cause, program)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that led to it, also where they are not shown."""
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop(0)
        if one is None or any(one is other for other in seen):
            continue
        seen.append(one)
        yield one
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _disk(cause: BaseException, error: BaseException, options: argparse.Namespace) -> str:
    filename = getattr(cause, "filename", None)
    place = Path(filename) if isinstance(filename, str) else _fullest(options)
    folder = nearest_folder(place)
    usage = shutil.disk_usage(folder)
    notes = [note for one in _chain(error) for note in getattr(one, "__notes__", [])]
    quota = getattr(cause, "errno", None) == errno.EDQUOT or "quota" in str(cause)
    return (
        f"no space is left on the disk of {folder}{' (a quota)' if quota else ''}: "
        f"{size(usage.free)} of {size(usage.total)} are free, and {place.name} needs more "
        f"({_short(cause)}){''.join(f'; {note}' for note in notes)}; free some, or make `results` "
        "a link to a larger disk, and start again: what was published is whole, and it goes on"
    )


def _fullest(options: argparse.Namespace) -> Path:
    """Find the fullest of the places among a program's options and that of temporary files."""
    given = [path for path in vars(options).values() if isinstance(path, Path)]
    places = [*given, Path(tempfile.gettempdir())]
    return min(places, key=lambda path: shutil.disk_usage(nearest_folder(path)).free)


def nearest_folder(path: Path) -> Path:
    """Find the nearest folder at or above a path that is there: it lies on the same disk."""
    return next(place for place in [path, *path.absolute().parents] if place.is_dir())


def _memory(cause: BaseException, program: str) -> str:
    rule, keys = KEYS.get(program, (None, None))
    if rule is None:
        remedy = "end what else runs here, or start it where there is more"
    else:
        remedy = f"turn resources.{rule}.mem_mb (more), or {keys} (less) in the config"
    return (
        f"no memory is left ({_short(cause) or 'MemoryError'}): {_known_memory()}; {remedy}, and "
        "start again: what was published is whole, and it goes on"
    )


def _gpu(cause: BaseException, program: str) -> str:
    rule, keys = KEYS.get(program, (None, None))
    turn = [keys, SHARES.get(program), f"resources.{rule}.gpu (more)" if rule else None]
    remedy = ", ".join(key for key in turn if key) or "the size of the model"
    free_now = ""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        free, total = torch.cuda.mem_get_info()
        free_now = f"; {size(free)} of {size(total)} are free on this GPU"
    return (
        f"no GPU memory is left ({_short(cause)}){free_now}; turn {remedy} in the config, or end "
        "what else runs on the GPU, and start again: what was published is whole, and it goes on"
    )


def _known_memory() -> str:
    """Say how much memory this machine, the job's group and this process have."""
    known = {}
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        known[name] = int(value.split()[0]) * 1024
    parts = [f"{size(known['MemAvailable'])} of {size(known['MemTotal'])} are free"]
    own = Path("/proc/self/cgroup").read_text().splitlines()
    for group in (Path(f"/sys/fs/cgroup{line.split(':')[2]}") for line in own):
        for folder in (group, Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")):
            for name in ("memory.max", "memory.limit_in_bytes"):
                limit = folder / name
                if limit.is_file() and limit.read_text().strip().isdecimal():
                    allowed = int(limit.read_text())
                    if allowed < known["MemTotal"]:
                        parts.append(f"{size(allowed)} are allowed by {limit}")
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(("VmHWM", "VmPeak")):
            held = "held at most" if line.startswith("VmHWM") else "asked for at most"
            parts.append(f"this process {held} {size(int(line.split()[1]) * 1024)}")
    return ", ".join(dict.fromkeys(parts))


def size(count: float) -> str:
    """Write bytes as a person reads them: `1.5 GiB`."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:,.1f} GiB"


def needs_of_checkpoints(checkpoints: int, kept: int, published: int) -> str:
    """Say what a training takes on the disk; `checkpoints` are the bytes it goes on from."""
    return (
        f"{kept} kept checkpoints and the one being written take about {size(checkpoints)}, and so "
        f"many policies are published: {published} (`checkpoints`); what was set aside of code or "
        "settings before may be deleted (`set-aside-*` in the folder `state`)"
    )


def _short(error: BaseException) -> str:
    """Quote the start of an error's own words, which say what was asked for."""
    return " ".join(str(error).split())[:240]
