"""Text as users' files and servers hold it: packed, with a byte order mark, half a character."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

MARKS = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
"""Byte order marks; the longer ones first."""
BROKEN = (EOFError, OSError, zlib.error, lzma.LZMAError)
"""The errors of unpacking a damaged file."""


def decoded(data: bytes) -> str:
    """Decode bytes as UTF-8, or as their byte order mark says. Raises `UnicodeError`."""
    return data.decode(encoding_of(data))


def encoding_of(head: bytes) -> str:
    """Read the encoding off the first four bytes: UTF-8 without a byte order mark."""
    return next((name for mark, name in MARKS.items() if head.startswith(mark)), "utf-8")


def encodable(text: str) -> str:
    """Make a text writable: half a character (a lone surrogate) becomes U+FFFD.

    A server can send one, as `"\\ud800"` in its JSON; no file in UTF-8 can hold it.
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """Open a file's bytes, unpacked (gzip, bzip2, xz, Zstandard), whatever its name.

    Raises `OSError` for a file that cannot be opened, and one of `BROKEN` where it is read.
    """
    with path.open("rb") as stream:
        head = stream.read(6)
    packed = next((read for magic, read in _PACKED.items() if head.startswith(magic)), None)
    with packed(path) if packed else path.open("rb") as stream:
        yield io.BufferedReader(stream) if packed else stream


def _zstandard(path: Path) -> Any:
    import pyarrow as arrow

    return arrow.input_stream(str(path), compression="zstd")


_PACKED: dict[bytes, Callable[[Path], Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
    b"\x28\xb5\x2f\xfd": _zstandard,
}
