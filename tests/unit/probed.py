"""A stand-in for the program that tries checks in a process of its own; each name is a behaviour.

probed.py --alone --findings FILE --log FILE --checks NAME...
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path


def told(path: Path, name: str, status: str = "passed") -> None:
    finding = {"check": name, "status": status, "seconds": 0.0, "found": f"{name} was tried"}
    with path.open("a") as stream:
        stream.write(json.dumps(finding | {"remedy": "" if status == "passed" else "mend"}) + "\n")


def behave(name: str, findings: Path) -> None:
    if name.startswith("crashes"):
        print("the last words of a crash", flush=True)
        os.abort()
    if name == "leaves":
        sys.exit(3)
    if name == "lacks-nvcc":
        print("RuntimeError: Could not find nvcc and default cuda_home\nmore text", flush=True)
        sys.exit(1)
    if name.startswith("hangs"):
        # As torch's launcher does: a child in a session of its own outlives its parent's group.
        script = "import time; time.sleep(600)"
        child = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
        findings.with_name("child").write_text(str(child.pid))
        print("waiting for the other rank", flush=True)
        time.sleep(600)
    told(findings, name, "failed" if name.startswith("fails") else "passed")


if __name__ == "__main__":
    words = sys.argv[1:]
    place = Path(words[words.index("--findings") + 1])
    (place.parent / "visible").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "none"))
    for one in words[words.index("--checks") + 1 :]:
        behave(one, place)
