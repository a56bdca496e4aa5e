"""A Python that starts at once: a server that has imported the libraries forks for each program.

Importing torch, transformers, TRL and Snakemake takes longer than most programs of the tests. So
one process imports the libraries, and nothing of this project, and every program is a child of it:
a process of its own, with its own arguments, folder, environment, streams, signals and status.

`python()` is the path of such a Python, for commands of tests and, as Snakemake takes the Python
that runs it, for the jobs of a DAG. `Program` starts one without a client in between, for tests
that kill. What every child has in common is what was drawn as the server started: the order of
sets of strings, which a real start draws anew. So some tests start the real Python on purpose.
"""

import atexit
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

WORKFLOW = Path(__file__).parents[2] / "workflow"
# Imported as they are needed, and by Snakemake.
LATER = (
    *("snakemake.cli", "vl_convert", "transformers.models.qwen2.modeling_qwen2"),
    *("transformers.models.llama.modeling_llama", "transformers.models.auto.modeling_auto"),
    "accelerate.commands.launch",
)
CLIENT = """#!{python} -IS
import sys
sys.path.insert(0, {folder!r})
import warm
warm.client({address!r}, sys.argv[1:])
"""
STARTS = ("-c", "-m", "-u")
"""The options of Python that are known here; with others the real one runs."""
READ_ON_IMPORT = {"HF_HOME", "HF_HUB_OFFLINE", "OPENAI_LOG"}
"""Variables that libraries read as they are imported; with them the real Python runs."""


@cache
def python() -> str:
    """The path of a Python that starts at once."""
    folder = Path(tempfile.mkdtemp(prefix="online-il-python-"))
    address = str(folder / "socket")
    path = folder / "python"
    path.write_text(
        CLIENT.format(python=sys.executable, folder=str(Path(__file__).parent), address=address)
    )
    path.chmod(0o755)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        server = subprocess.Popen(
            [sys.executable, __file__, str(listener.fileno()), str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[listener.fileno()],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
    # It ends as its standard input does, with this process, however that ends.
    atexit.register(server.communicate)
    return str(path)


def run(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """A program that has run to its end; `words` are what follows `python`."""
    command = [python(), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=900, **options)


# ---- the client ----


class Program:
    """A program that the server runs; what a test needs of `subprocess.Popen`."""

    def __init__(self, words, *, stdout=1, stderr=2, address=None) -> None:
        """Start `words`, which are what follows `python`, with this process's folder, environment
        and standard input."""
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(address or str(Path(python()).with_name("socket")))
        wanted = {
            "words": [*map(str, words)],
            "folder": str(Path.cwd()),
            "environment": {**os.environ},
        }
        content = json.dumps(wanted).encode()
        streams = [s if isinstance(s, int) else s.fileno() for s in (0, stdout, stderr)]
        socket.send_fds(self.connection, [len(content).to_bytes(8)], streams)
        self.connection.sendall(content)
        self.returncode: int | None = None
        self.pid = self._number()

    def _number(self) -> int:
        told = self.connection.recv(8, socket.MSG_WAITALL)
        assert len(told) == 8, "the server that starts programs is gone"
        return int.from_bytes(told, signed=True)

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def poll(self) -> int | None:
        """The status, or None while the program runs."""
        if self.returncode is None and select.select([self.connection], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The status once the program has ended; minus the number of the signal that ended it."""
        if self.returncode is None:
            self.connection.settimeout(timeout)
            self.returncode = self._number()
        return self.returncode


def client(address: str, words: list[str]) -> None:
    """Be a program that the server runs: pass signals on, and end as it ends."""
    is_other = words[:1] == [] or (words[0].startswith("-") and words[0] not in STARTS)
    if is_other or READ_ON_IMPORT & os.environ.keys():
        os.execv(sys.executable, [sys.executable, *words])
    program = Program(words, address=address)
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
        signal.signal(number, lambda number, _: program.send_signal(number))
    status = program.wait()
    if status < 0:
        if status != -signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


# ---- the server ----


def import_libraries() -> None:
    """Import what the project's modules import, but for the project itself."""
    import ast
    import importlib

    wanted: dict[str, set[str]] = {name: set() for name in LATER}
    for path in sorted(WORKFLOW.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted |= {alias.name: wanted.get(alias.name, set()) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                wanted.setdefault(node.module, set()).update(alias.name for alias in node.names)
    for name, parts in wanted.items():
        if name.partition(".")[0] != "online_il":
            with suppress(ImportError):  # vLLM is not everywhere.
                module = importlib.import_module(name)
                for part in parts:
                    getattr(module, part, None)  # Some libraries import their parts so late.


def serve(listener: socket.socket) -> None:
    """Fork for every client, until standard input ends."""
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            try:
                start(connection)
            finally:
                os._exit(0)
        connection.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass


def start(connection: socket.socket) -> None:
    """Start the program of one client, wait for it, and kill it should the client die."""
    import multiprocessing

    length, streams, _, _ = socket.recv_fds(connection, 8, 3)
    wanted = json.loads(connection.recv(int.from_bytes(length), socket.MSG_WAITALL))
    program = multiprocessing.get_context("fork").Process(
        target=become, args=(streams,), kwargs=wanted
    )
    program.start()
    for stream in (0, 1, 2, *streams):
        os.close(stream)
    connection.sendall(program.pid.to_bytes(8, signed=True))
    if program.sentinel not in select.select([program.sentinel, connection], [], [])[0]:
        program.kill()
    program.join()
    connection.sendall(program.exitcode.to_bytes(8, signed=True))


def become(streams: list[int], words: list[str], folder: str, environment: dict[str, str]) -> None:
    """Run a program as Python would that was started with these words."""
    import numpy
    import torch

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin = os.fdopen(0, closefd=False)  # A forked process has none.
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # What nobody seeds differs from start to start.
    numpy.random.seed()
    torch.seed()
    words = words[1:] if words[0] == "-u" else words
    given = [part for part in environment.get("PYTHONPATH", "").split(":") if part]
    places = {"-c": "", "-m": folder}
    first = places.get(words[0], str(Path(words[0]).resolve().parent))
    sys.path[:] = [first, *given, *sys.path[1:]]
    try:
        if words[0] == "-m":
            sys.argv = words[1:]
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        elif words[0] == "-c":
            sys.argv = ["-c", *words[2:]]
            exec(compile(words[1], "<string>", "exec"), {"__name__": "__main__"})
        else:
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
    finally:
        atexit._run_exitfuncs()


if __name__ == "__main__":
    import gc
    import shutil

    import_libraries()
    gc.freeze()  # Or every child would copy all of it, to look for garbage.
    sys.executable = sys.argv[2]
    serve(socket.socket(fileno=int(sys.argv[1])))
    shutil.rmtree(Path(sys.executable).parent)
    with suppress(ChildProcessError):
        while True:
            os.wait()
    os._exit(0)
