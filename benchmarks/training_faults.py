"""Kill trainings so many times, and compare what they end with to trainings left alone.

  OMP_NUM_THREADS=1 .venv/bin/python benchmarks/training_faults.py --kills 300 --seed 1

SFT, GRPO and distillation of a tiny policy, in one process and in two whose weights are cut (FSDP 2
on gloo, as on GPUs: tests/unit/fsdp_on_cpu.py), saved after each update. Killed is everything at
once, as when the machine dies; the launcher alone, as srun's child is; one of the processes that
train; or either is asked to stop first. The same command goes on until the training is finished;
its rows (times apart) and published weights have then to be those of one that nobody killed. Ends
with status 1 and the names of what differs. A training is a process that has imported the libraries
already (tests/common/warm.py), so that kills hit training and saving, not imports.
benchmarks/faults.py kills whole studies.
"""

import argparse
import contextlib
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "faults"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "common"))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "unit"))

from harness import end
from living import living
from training_runs import WORDS, tiny
from warm import python

from online_il.models import save_policy, word_tokenizer

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / "tests" / "unit" / "train_process.py"
CONFIG = ROOT / "config" / "accelerate" / "fsdp.yaml"
LAUNCH = ["-m", "accelerate.commands.launch", "--config_file", str(CONFIG), "--num_processes", "2"]
LAUNCH += ["--main_process_port", "0", "--mixed_precision", "no"]
STEPS = 24
WAYS = ("all", "launcher", "process", "stop launcher", "stop process")
PATIENCE = 300.0


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--kills", type=int, default=300, help="how many")
    arguments.add_argument("--seed", type=int, default=1, help="of the moments and ways")
    options = arguments.parse_args()
    draw, ways, wrong, trainings = random.Random(options.seed), Counter[str](), 0, 0
    with tempfile.TemporaryDirectory() as name:
        here = Path(name)
        save_policy(tiny(), word_tokenizer(WORDS), here / "base")
        kinds = [(method, cut) for method in ("sft", "grpo", "distill") for cut in (True, False)]
        alone: dict[tuple[str, bool], tuple[dict[str, object], float]] = {}
        while ways.total() < options.kills:
            method, cut = kind = kinds[trainings % len(kinds)]
            label = f"{method} in {'two processes' if cut else 'one'}"
            if kind not in alone:
                began = time.monotonic()
                folder = here / f"{method}-{cut}"
                to_its_end(folder, here / "base", kind, 0, 0.0, draw, ways)
                alone[kind] = (artifacts(folder), time.monotonic() - began)
                print(f"{label}, left alone: {alone[kind][1]:.0f} s", flush=True)
            expected, longest = alone[kind]
            folder, before = here / f"killed{trainings}", ways.total()
            left = min(24, options.kills - before)
            to_its_end(folder, here / "base", kind, left, longest, draw, ways)
            found = artifacts(folder)
            names = sorted(found.keys() | expected.keys())
            changed = [name for name in names if found.get(name) != expected.get(name)]
            print(
                f"{label}: {ways.total() - before} kills, {len(changed)} differ",
                *changed,
                flush=True,
            )
            trainings, wrong = trainings + 1, wrong + len(changed)
    by_way = ", ".join(f"{count} x {way}" for way, count in sorted(ways.items()))
    print(f"{ways.total()} kills ({by_way}) of {trainings} trainings; {wrong} artifacts differ")
    return int(wrong > 0)


def to_its_end(
    folder: Path,
    base: Path,
    kind: tuple[str, bool],
    kills: int,
    longest: float,
    draw: random.Random,
    ways: Counter[str],
) -> None:
    """Train, kill `kills` times at most, each soon after a start, and go on.

    `longest` is how many seconds the whole training takes.
    """
    method, cut = kind
    settings = {"engine": "transformers", "entropy_coefficient": 0.0, "minutes": 0, "fsdp": cut}
    command = [python(), *(LAUNCH if cut else []), str(PROGRAM), method]
    command += [str(folder), str(base), str(STEPS), json.dumps(settings)]
    folder.mkdir()
    log, killed = folder / "log.txt", 0
    while True:
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command, stdout=stream, stderr=stream, start_new_session=True
            )
        if killed == kills:
            status = process.wait(timeout=PATIENCE)
            assert status == 0, f"after {killed} kills:\n{log.read_text()[-4000:]}"
            return
        try:
            # Half: what is left after a kill is less than the whole, and ends before it is killed.
            status = process.wait(timeout=draw.uniform(0.0, longest / 2))
        except subprocess.TimeoutExpired:
            way = draw.choice(WAYS)
            kill(way, process, folder, draw)
            killed += 1
            ways[way] += 1
        else:
            assert status == 0, f"after {killed} kills:\n{log.read_text()[-4000:]}"
            return


def kill(way: str, process: subprocess.Popen[bytes], folder: Path, draw: random.Random) -> None:
    """Kill in one of `WAYS`; then nothing of the training lives any more."""
    everything = living(folder)
    what = signal.SIGTERM if way.startswith("stop") else signal.SIGKILL
    workers = [one for one in everything if one != process.pid] or [process.pid]
    victims = {"all": everything, "launcher": [process.pid], "process": [draw.choice(workers)]}
    for victim in victims[way.removeprefix("stop ")]:
        end(victim, what)
    if way != "all":
        # The others have some time to notice.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=draw.uniform(0.0, 10.0))
    while left := living(folder):
        for one in left:
            end(one, signal.SIGKILL)
        process.poll()
        time.sleep(0.02)
    process.wait(timeout=PATIENCE)


def artifacts(folder: Path) -> dict[str, object]:
    """Give what a training ended with: its rows without clocks, and hashes of weights."""
    result = json.loads((folder / "result.json").read_text())
    for row in [*result["rows"], *result["kept"]]:
        del row["device_seconds"]
    published = folder / "state" / "published"
    weights = sorted(published.rglob("*.safetensors"))
    assert weights, "nothing was published"
    hashes = {
        str(path.relative_to(published)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in weights
    }
    return result | hashes


if __name__ == "__main__":
    sys.exit(main())
