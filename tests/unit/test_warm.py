"""A Python that starts at once runs a program as the real one does."""

import os
import signal
import subprocess
import sys
import time

import pytest
import warm

SHOW = """
import os, sys
print(sys.argv[1:], os.getcwd(), os.environ["GIVEN"], sys.path[0], __name__, sys.stdin.read())
print("loud", file=sys.stderr)
print([name for name in sys.modules if name.partition(".")[0] == "online_il"])
"""


@pytest.mark.parametrize("how", [["program.py"], ["-u", "program.py"], ["-m", "program"]])
def test_a_program_gets_its_words_folder_environment_and_streams(how, tmp_path):
    (tmp_path / "program.py").write_text(SHOW)
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    options["env"] = os.environ | {"GIVEN": "a b"}
    words = [*how, "x y", "--flag"]
    real, quick = (
        subprocess.run([python, *words], stdin=subprocess.DEVNULL, **options)
        for python in (sys.executable, warm.python())
    )
    assert (quick.returncode, quick.stdout, quick.stderr) == (0, real.stdout, "loud\n")
    assert "['x y', '--flag']" in quick.stdout and quick.stdout.endswith("[]\n")


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        ("", 0, ""),
        ("raise SystemExit(75)", 75, ""),
        ("raise SystemExit('error: no')", 1, "error: no\n"),
        ("import atexit, os; atexit.register(os.write, 2, b'late')", 0, "late"),
        ("import os; os.kill(os.getpid(), 9)", -9, ""),
        ("import os; os.kill(os.getpid(), 15)", -15, ""),
    ],
)
def test_a_program_ends_as_it_does_with_the_real_python(code, status, said, tmp_path):
    for python in (sys.executable, warm.python()):
        done = subprocess.run([python, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (status, said)
    with (tmp_path / "said").open("w") as stream:
        assert warm.Program(["-c", code], stderr=stream).wait(60) == status
    assert (tmp_path / "said").read_text() == said


def test_a_package_of_a_checkout_is_that_of_its_own_path(tmp_path):
    (tmp_path / "online_il").mkdir()
    (tmp_path / "online_il" / "__init__.py").write_text("HERE = 'edited'")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    assert warm.run("-c", "import online_il; print(online_il.HERE)", env=environment).stdout == (
        "edited\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_reaches_the_program_through_its_client(number, tmp_path):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with subprocess.Popen([warm.python(), "-c", code], stdout=subprocess.PIPE) as client:
        program = int(client.stdout.readline())
        client.send_signal(number)
        assert client.wait(60) == -number
    while is_running(program):
        time.sleep(0.01)


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
