"""Traces of an imperfect searcher, and facts, as the miniature's base learns them."""

import json
import random
from pathlib import Path

from online_il.config.pretraining import Pretraining
from online_il.records import Prompts, read_table
from online_il.tasks import miniature
from online_il.tasks.countdown import Instance
from online_il.tasks.countdown_prompts import compact_prompt
from online_il.training.supervised import Demonstration


def sequences(prompts: Path, settings: Pretraining, seed: int) -> list[Demonstration]:
    """Draw the training set: one row a sequence, in the order in which they are seen."""
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
            Demonstration(
                [ids[w] for w in prompt.split()], [ids[w] for w in response.split()], trained
            )
        )
    return rows
