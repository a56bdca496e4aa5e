"""math-verify in a process of its own: whether an answer equals the reference, in bounded time.

A model's answer is hostile input: `9^{9^{9^9}}` fills the memory inside one call that no signal
interrupts, and math-verify's own time limits are signals, which work in the main thread only. So
one child process answers, whose memory is limited, and which is killed and replaced when it takes
too long or dies; the answer is then wrong. Safe to call from several threads.

This file is also the child's program; it imports nothing of this project.
"""

import atexit
import json
import logging
import os
import resource
import select
import subprocess
import sys
import threading
from typing import Any

SOFT_SECONDS = 4
"""Seconds for one parse or one comparison before math-verify gives up."""
HARD_SECONDS = 30.0
"""Seconds for an answer in all before the process is killed."""
START_SECONDS = 120.0
MEMORY_BYTES = 2 << 30
DECIMALS = 1e-5
"""Relative difference that decimals may have; it is that of 6 places at 0.1."""
MAX_CHARS = 1_000
"""Longest answer in a box, and longest reference, that is looked at."""
MAX_SENTENCE_CHARS = 100_000
"""Longest sentence with an answer in it that is looked at."""


class Verifier:
    """The child process and the questions to it, one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def equal(self, answer: str, reference: str, *, boxed: bool = True) -> bool:
        """Ask math-verify whether the answer is the reference; False in doubt. Never raises.

        Both are the contents of a box, in LaTeX; if not `boxed`, the answer is a sentence in which
        math-verify looks for one.
        """
        longest = MAX_CHARS if boxed else MAX_SENTENCE_CHARS
        if len(answer) > longest or len(reference) > MAX_CHARS or "\0" in answer:
            return False
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()
            reply = self._ask([reference, answer, boxed], HARD_SECONDS)
            if reply is None:
                self.close()
        return reply == b"1"

    def close(self) -> None:
        """End the child; the next question starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self) -> None:
        # -P: the folder of this file is not searched for modules.
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # A Ctrl-C is not for the child.
        )
        if self._ask(["1", "1", True], START_SECONDS) != b"1":
            self.close()
            raise RuntimeError("math-verify does not start; look at `pip show math-verify`")

    def _ask(self, question: list[str | bool], seconds: float) -> bytes | None:
        """Ask the child; return its reply, one byte, or None when it died or took too long."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            return None
        replies = select.poll()  # select() fails where many files are open.
        replies.register(process.stdout, select.POLLIN)
        if not replies.poll(seconds * 1000):
            return None
        return process.stdout.read1(1) or None  # type: ignore[attr-defined, no-any-return]


_verifier = Verifier()
atexit.register(_verifier.close)
# Two processes that write into one pipe would read each other's replies.
os.register_at_fork(after_in_child=_verifier.__init__)  # type: ignore[misc]


def equal(answer: str, reference: str, *, boxed: bool = True) -> bool:
    """Compare as `Verifier.equal` does, by one child process for all callers."""
    return _verifier.equal(answer, reference, boxed=boxed)


def _equal(reference: str, answer: str, boxed: bool) -> bool:
    from math_verify import LatexExtractionConfig, parse, verify

    def parsed(content: str) -> Any:
        # Neither another target nor another match: what cannot be read as a whole (`\ne 3`) would
        # be searched for a number.
        return parse(
            f"\\boxed{{{content}}}",
            [LatexExtractionConfig(boxed_match_priority=0)],
            extraction_mode="first_match",
            parsing_timeout=SOFT_SECONDS,
        )

    found = parsed(answer) if boxed else parse(answer, parsing_timeout=SOFT_SECONDS)
    return bool(verify(parsed(reference), found, timeout_seconds=SOFT_SECONDS))


def _compare_numbers_to_scale() -> None:
    r"""Make math-verify's numeric comparison refuse what differs by more than rounding.

    It rounds decimals to 6 places and takes any difference below 2^-53 for none, whatever the
    numbers' size, so that 2^-55 equals 2^-54. Its yes to decimals stands where they agree to
    `DECIMALS` of their size too, its yes to exact expressions where they do not differ at all.
    """
    from math_verify import grader
    from sympy import Expr, Float, Integer  # type: ignore[import-untyped]

    compare = grader.sympy_numeric_eq

    def to_scale(one: Any, other: Any, *settings: int) -> bool:
        if not compare(one, other, *settings):
            return False
        if not (isinstance(one, Expr) and isinstance(other, Expr)):
            return True  # Matrices; their entries come here one by one.
        if all(grader.is_atomic_or_pct_atomic(each, Integer) for each in (one, other)):
            return True  # 9% is 9 here, so that the sign may be left out.
        one, other = one.doit(), other.doit()
        difference = abs((one - other).evalf())
        if not difference.is_Float or difference._prec == 1:  # No digit of it is known.
            return True
        size = max(abs(one.evalf()), abs(other.evalf()))
        return bool((one.has(Float) or other.has(Float)) and difference <= DECIMALS * size)

    grader.sympy_numeric_eq = to_scale


def _serve() -> None:
    """Answer questions, JSON lists of `_equal`'s arguments, with 1 or 0 until the input ends."""
    logging.disable()
    _compare_numbers_to_scale()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin.buffer:
        try:
            right = _equal(*json.loads(line))
        except BaseException:  # math-verify's time-out is no Exception; any failure is "wrong".
            right = False
        sys.stdout.buffer.write(b"1" if right else b"0")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
