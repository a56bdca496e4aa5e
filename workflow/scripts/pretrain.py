"""Train the miniature's base model on traces of an imperfect searcher and on the table of facts.

Stands in for the paper's pretrained models. Every sequence is drawn afresh from the instances of
train and pretraining; no test prompt is seen.
"""

import argparse
import json
import random
from pathlib import Path

from online_il.config.pretraining import Pretraining
from online_il.models import new_model, word_tokenizer
from online_il.program.cli import add_run, log, main, parser
from online_il.provenance import file_hash
from online_il.records import Prompts, read_table
from online_il.tasks import miniature
from online_il.tasks.countdown import Instance, compact_prompt
from online_il.training import supervised
from online_il.training.common import arguments as trainer_arguments
from online_il.training.publish import add_saving, publish_base, saving_of


def sequences(prompts: Path, settings: Pretraining, seed: int) -> list[supervised.Row]:
    """The whole training set: one row a sequence, in the order in which they are seen."""
    table = read_table(prompts, Prompts)
    instances, facts = [], []
    for split, answer, text in zip(table["split"], table["answer"], table["text"], strict=True):
        values = json.loads(answer)
        if split in ("train", "pretraining"):
            instances.append(Instance(tuple(values["numbers"]), values["target"]))
        elif split == "forgetting":
            _, _, a, b, _ = text.split()
            choices = tuple(values["choices"])
            facts.append(miniature.Fact(int(a), int(b), values["correct"], choices))
    ids = {word: index for index, word in enumerate(miniature.VOCABULARY)}
    rng = random.Random(seed)
    rows = []
    for _ in range(settings.updates * settings.batch_size):
        kind, trained = rng.random(), None
        if kind < settings.fact_fraction:
            fact = rng.choice(facts)
            prompt, response = miniature.fact_prompt(fact), f"{fact.value} <eos>"
        elif kind < settings.fact_fraction + settings.practice_fraction:
            instance = rng.choice(instances)
            prompt = compact_prompt(*instance)
            response, trained = miniature.practice_trace(
                rng,
                instance,
                solve_probability=settings.solve_probability,
                max_attempts=settings.practice_attempts,
            )
        else:
            instance = rng.choice(instances)
            prompt = compact_prompt(*instance)
            response = miniature.searcher_trace(
                rng,
                instance,
                solve_probability=settings.solve_probability,
                continue_probability=settings.continue_probability,
                max_attempts=settings.max_attempts,
            )
        rows.append(
            supervised.Row(
                [ids[w] for w in prompt.split()], [ids[w] for w in response.split()], trained
            )
        )
    return rows


def run(options: argparse.Namespace) -> None:
    settings = Pretraining.model_validate_json(options.settings)
    rows = sequences(options.prompts, settings, options.seed)
    log("training set ready", sequences=len(rows), tokens=sum(len(r.response) for r in rows))
    tokenizer = word_tokenizer(miniature.VOCABULARY)
    model = new_model(settings.architecture, tokenizer, settings.max_length, options.seed)
    size = settings.batch_size
    saving = saving_of(options, prompts=file_hash(options.prompts))
    recorder = supervised.train(
        model,
        tokenizer,
        rows,
        [list(range(u * size, (u + 1) * size)) for u in range(settings.updates)],
        arguments=trainer_arguments(
            output=saving.folder / "trainer",
            updates=settings.updates,
            learning_rate=settings.learning_rate,
            max_grad_norm=1.0,
            seed=options.seed,
        )
        | {
            "lr_scheduler_type": "cosine_with_min_lr",
            "lr_scheduler_kwargs": {"min_lr_rate": 0.1},
            "warmup_steps": settings.warmup_updates,
            "adam_beta2": 0.98,
            "weight_decay": 0.01,
        },
        micro_batch_size=settings.micro_batch_size,
        checkpoints=[settings.updates],
        saving=saving,
        progress=options.progress,
    )
    publish_base(
        options,
        source=saving.published / f"step{settings.updates}",
        method="pretrain",
        settings=settings.model_dump(),
        rows=recorder.rows,
        prompts_hash=file_hash(options.prompts),
    )


if __name__ == "__main__":
    arguments = parser(__doc__)
    add_run(arguments)
    arguments.add_argument("--settings", required=True, help="settings of the base, JSON")
    arguments.add_argument("--prompts", type=Path, required=True, help="table of prompts")
    arguments.add_argument("--checkpoints", type=Path, required=True, help="folder to write")
    arguments.add_argument("--training", type=Path, required=True, help="training table to write")
    arguments.add_argument("--record", type=Path, required=True, help="manifest to write")
    add_saving(arguments)
    main(run, arguments)
