"""Kill the smoke study so many times, and compare what it ends with to a study left alone.

  OMP_NUM_THREADS=1 .venv/bin/python benchmarks/faults.py --kills 200 --seed 1

The harness is that of `make test-faults`. Ends with status 1 and the names of what differs, where
something does; prints how many kills of each kind there were and how long a study took.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "common"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "faults"))

from harness import artifacts, run_to_its_end
from project import copy_of_project

SMOKE = ("--configfile", "config/smoke.yaml")


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--kills", type=int, default=200, help="how many")
    arguments.add_argument("--seed", type=int, default=1, help="of the moments and kinds")
    options = arguments.parse_args()
    kinds: Counter[str] = Counter()

    def say(text: str) -> None:
        kinds[text.partition(": ")[2].split()[0]] += 1
        print(text, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        alone = copy_of_project(Path(folder) / "alone")
        started = time.monotonic()
        run_to_its_end(alone, options.seed, 0, say, *SMOKE)
        print(f"left alone: {time.monotonic() - started:.0f} s", flush=True)
        expected = artifacts(alone / "results" / "smoke")
        kills, studies, wrong = 0, 0, 0
        while kills < options.kills:
            study = copy_of_project(Path(folder) / f"killed{studies}")
            started = time.monotonic()
            seed = options.seed + studies
            taken = run_to_its_end(study, seed, options.kills - kills, say, *SMOKE)
            found = artifacts(study / "results" / "smoke")
            names = sorted(found.keys() | expected.keys())
            changed = [name for name in names if found.get(name) != expected.get(name)]
            seconds = time.monotonic() - started
            print(f"seed {seed}: {taken} kills in {seconds:.0f} s, {len(changed)} differ", *changed)
            kills, studies, wrong = kills + taken, studies + 1, wrong + len(changed)
    by_kind = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
    print(f"{kills} kills ({by_kind}) in {studies} studies of {len(expected)} artifacts")
    print(f"{wrong} artifacts differ")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
