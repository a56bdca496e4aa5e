"""One process of a tiny training, to be killed or to run beside others.

    train_process.py METHOD FOLDER BASE STEPS [SETTINGS]

SETTINGS is JSON: `minutes` between checkpoints, the `limit` of its time in minutes, `engine`,
`bf16` as on GPUs, `fsdp` for weights that are cut over the processes as there, `lora` for an
adapter, the run's `identity`, `accepted` ones and `code`, and what
replaces GRPO's settings.
"""

import json
import logging
import math
import sys
from pathlib import Path

import fsdp_on_cpu
import torch
from test_supervised import ROWS
from torch.distributed.fsdp import FSDPModule
from training_runs import DISTILL, GRPO, PROMPTS, WORDS, arguments, reward, tiny

from online_il.config.generation import Generation
from online_il.config.lora import Lora
from online_il.errors import Stopped
from online_il.models import load_model, word_tokenizer
from online_il.program import deadline
from online_il.program.cli import AGAIN
from online_il.training import distill, grpo, supervised
from online_il.training.common import main_process
from online_il.training.resume import Saving

logging.basicConfig(level=logging.INFO, stream=sys.stderr)
# Processes that share a CPU name their devices cpu:0, which torch itself cannot load tensors to.
torch.serialization.register_package(
    0, lambda storage: None, lambda storage, place: storage if place.startswith("cpu:") else None
)
method, folder, base, steps = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
options = json.loads(sys.argv[5]) if len(sys.argv) > 5 else {}
generation = Generation(engine=options.pop("engine", "loop"), batch_size=64)
saving = Saving(
    folder / "state",
    options.pop("identity", "a run"),
    options.pop("minutes", 60),
    options.pop("code", ""),
    tuple(options.pop("accepted", ())),
    deadline.until(options.pop("limit", math.inf)),
)
bf16 = options.pop("bf16", False)
if fsdp := options.pop("fsdp", False):
    fsdp_on_cpu.allow()
lora = Lora(**options.pop("lora")) if "lora" in options else None
settings = GRPO.model_copy(update=options | {"lora": lora})
prompts = [{"prompt": PROMPTS[i % 4]} for i in range(8 * steps)]
updates = steps * (settings.updates_per_step if method == "grpo" else 1)
common = {
    "arguments": arguments(saving.folder / "trainer", updates=updates, learning_rate=0.03)
    | ({"bf16": True, "gradient_checkpointing": True} if bf16 else {}),
    "checkpoints": [1, steps],
    "saving": saving,
    "progress": folder / "progress.json",
}
policy = (load_model(base), word_tokenizer(WORDS))
try:
    if method == "grpo":
        recorder = grpo.train(
            *policy, prompts[: 4 * steps], reward, settings, generation=generation, **common
        )
    elif method == "distill":
        student, tokenizer = policy
        teacher = tiny(seed=1)
        recorder = distill.train(
            student,
            teacher,
            tokenizer,
            prompts,
            DISTILL.model_copy(update={"lora": lora}),
            generation=generation,
            **common,
        )
    else:
        plan = supervised.plan(len(ROWS), steps, 8, 5)
        recorder = supervised.train(*policy, ROWS, plan, micro_batch_size=2, lora=lora, **common)
    assert recorder.trainer.is_fsdp_enabled == fsdp
except Stopped as stopped:
    print(stopped, file=sys.stderr)
    sys.exit(AGAIN)
if torch.distributed.is_initialized():
    sys.exit("the processes have not parted; one of them may be aborted as it ends")
if main_process():
    kept = [checkpoint.model_dump() for checkpoint in recorder.checkpoints]
    result = {"rows": recorder.rows, "kept": kept}
    if fsdp and method == "grpo":
        reference = recorder.trainer.ref_model
        parts = [module for module in reference.modules() if isinstance(module, FSDPModule)]
        result["reference"] = {"units": len(parts), "dtype": str(reference.dtype)}
    (folder / "result.json").write_text(json.dumps(result))
