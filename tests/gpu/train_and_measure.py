"""Two steps of a method's own script in this process, and the most GPU memory that it held.

    train_and_measure.py METHOD POLICIES OUTPUT SETTINGS GENERATION

The memory is the device's, not the allocator's, so that vLLM and CUDA itself are in it.
"""

import json
import runpy
import sys
import threading
from pathlib import Path

import torch

from online_il.files import write_table
from online_il.generation.response import Response
from online_il.grading import graded_sample
from online_il.records import Prompts, Samples, read_table

method, policies, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
settings, generation = sys.argv[4], sys.argv[5]
scripts = Path(__file__).parents[2] / "workflow" / "scripts"
base, prompts = policies / "base" / "step0", policies / "prompts.parquet"

arguments = ["--task", "countdown", "--run", method, "--seed", "1", "--code", "x"]
arguments += ["--settings", settings, "--steps", "2", "--learning-rate", "1e-6", "--keep", "2"]
arguments += ["--hardware", "gpu", "--base", str(base), "--prompts", str(prompts)]
for name in ("checkpoints", "training", "record", "state", "progress"):
    arguments += [f"--{name}", str(output / name)]
if method == "sft":
    # As long as the longest responses, which is what the estimate is of.
    table = read_table(prompts, Prompts)
    longest = json.loads(generation).get("max_new_tokens", 1_024)
    rows = [
        graded_sample(
            prompt_id=prompt_id,
            sample_index=0,
            policy="made here",
            seed=1,
            answer=json.loads(answer),
            response=Response("x" * longest, longest, "stop"),
        )
        for prompt_id, answer in zip(table["prompt_id"], table["answer"], strict=True)
    ]
    write_table(rows, Samples, output / "samples.parquet", {})
    arguments += ["--expert", "solver", "--demonstrations", str(output / "samples.parquet")]
else:
    arguments += ["--generation", generation]
if method == "distill":
    arguments += ["--expert", "expert", "--expert-checkpoints", str(policies / "expert")]

free, total = torch.cuda.mem_get_info()
held, done = [total - free], threading.Event()


def watch() -> None:
    while not done.wait(0.02):
        free, total = torch.cuda.mem_get_info()
        held.append(total - free)


watcher = threading.Thread(target=watch)
watcher.start()
try:
    sys.argv = [str(scripts / f"{method}.py"), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")
finally:
    done.set()
    watcher.join()
(output / "peak.json").write_text(json.dumps({"bytes": max(held)}))
