"""The project's training programs on a GPU, in processes of their own, and the memory they hold."""

import json
import os
import subprocess
import sys
from pathlib import Path

from online_il.config.generation import Generation
from online_il.config.settings import Settings
from online_il.files import write_table
from online_il.records import Prompts

ROOT = Path(__file__).parents[2]


def write_prompts(path: Path) -> None:
    """Write 400 training prompts of Countdown."""
    rows = [
        {
            "prompt_id": f"train-{number:05d}",
            "task": "countdown",
            "split": "train",
            "text": f"Make {number} from 1 and {number - 1}.",
            "answer": json.dumps({"numbers": [1, number - 1], "target": number}),
            "source": "made here",
            "revision": "1",
        }
        for number in range(2, 402)
    ]
    write_table(rows, Prompts, path, {})


def most_held(
    method: str, policies: Path, output: Path, settings: Settings, generation: Generation
) -> int:
    """Run two steps of a method's program; the most memory that the GPU held, bytes.

    `policies` has base/step0, expert/step0 and prompts.parquet; `output` gets what is written.
    """
    program = Path(__file__).with_name("train_and_measure.py")
    command = [sys.executable, program, method, policies, output]
    command += [settings.model_dump_json(), generation.model_dump_json()]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'workflow'}:{os.getenv('PYTHONPATH', '')}"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-5000:]
    return int(json.loads((output / "peak.json").read_text())["bytes"])
