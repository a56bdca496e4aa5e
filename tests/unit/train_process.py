"""One process of a tiny training as on GPUs, but on a CPU, for `accelerate launch`.

train_process.py METHOD FOLDER BASE [bf16]
"""

import json
import sys
from pathlib import Path

from test_supervised import ROWS
from training_runs import DISTILL, GRPO, LOOP, PROMPTS, WORDS, arguments, reward, tiny

from online_il.models import load_model, word_tokenizer
from online_il.training import distill, grpo, supervised
from online_il.training.common import main_process

method, folder, base = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
common = {
    "arguments": arguments(folder, updates=2, learning_rate=0.03)
    | ({"bf16": True, "gradient_checkpointing": True} if sys.argv[4:] == ["bf16"] else {}),
    "checkpoints": [2],
    "folder": folder / "checkpoints",
    "progress": folder / "progress.json",
}
policy = (load_model(base), word_tokenizer(WORDS))
prompts = [{"prompt": PROMPTS[i % 4]} for i in range(16)]
if method == "grpo":
    # With one update a step it does not matter which rollouts TRL puts into which update.
    settings = GRPO.model_copy(update={"updates_per_step": 1, "entropy_coefficient": 0.0})
    recorder = grpo.train(*policy, prompts[:8], reward, settings, generation=LOOP, **common)
elif method == "distill":
    student, tokenizer = policy
    given = (student, tiny(seed=1), tokenizer, prompts, DISTILL)
    recorder = distill.train(*given, generation=LOOP, **common)
else:
    plan = supervised.plan(len(ROWS), 2, 8, 5)
    recorder = supervised.train(*policy, ROWS, plan, micro_batch_size=2, **common)
if main_process():
    (folder / "rows.json").write_text(json.dumps(recorder.rows))
