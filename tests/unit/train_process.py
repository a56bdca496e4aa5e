"""One process of a tiny GRPO run with a hand-made reward."""

import sys
from pathlib import Path

from training_runs import GRPO, LOOP, PROMPTS, WORDS, arguments, reward, saving

from online_il.models import load_model, word_tokenizer
from online_il.training import grpo

folder, base = Path(sys.argv[1]), Path(sys.argv[2])
grpo.train(
    load_model(base),
    word_tokenizer(WORDS),
    [{"prompt": PROMPTS[i % 4]} for i in range(8)],
    reward,
    # With one update a step it does not matter which rollouts TRL puts into which update.
    GRPO.model_copy(update={"updates_per_step": 1, "entropy_coefficient": 0.0}),
    generation=LOOP,
    arguments=arguments(folder, updates=2, learning_rate=0.03),
    checkpoints=[2],
    saving=saving(folder),
    progress=folder / "progress.json",
)
