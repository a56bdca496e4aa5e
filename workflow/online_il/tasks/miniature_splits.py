"""The instances of the splits that are generated: the miniature's, and those in English.

Train, validation and id share one distribution: their instances are drawn together, all distinct
up to reordering of the numbers, shuffled, and then cut apart. So do pretraining and ood, each of
whose instances leaves the in-distribution ranges, by a number or by its target. The base is trained
on train and pretraining: like the paper's pretrained models it knows the numbers of the
out-of-distribution prompts, while no expert and no student is trained on them.
"""

import random
from typing import Any

from online_il.config.miniature import Generated, Instances
from online_il.errors import InputError
from online_il.tasks.countdown import Instance, generate


def splits(task: Generated) -> dict[str, list[Instance]]:
    """Draw the instances of every split. Raises `InputError` when the ranges hold too few."""
    inside, outside, seed = task.in_distribution, task.out_of_distribution, task.data_seed

    def leaves(instance: Instance) -> bool:
        return (
            len(instance.numbers) not in inside.operands
            or not inside.answers[0] <= instance.target <= inside.answers[1]
            or any(not inside.numbers[0] <= n <= inside.numbers[1] for n in instance.numbers)
        )

    common = _draw(task, inside, task.train + task.validation + task.id, seed)
    beyond = _draw(task, outside, task.pretraining + task.ood, seed + 1, accept=leaves)
    # Draws without repetition come ever more from the rare instances, so the order is undone.
    for instances in (common, beyond):
        random.Random(seed).shuffle(instances)
    return {
        "train": common[: task.train],
        "validation": common[task.train : task.train + task.validation],
        "id": common[task.train + task.validation :],
        "pretraining": beyond[: task.pretraining],
        "ood": beyond[task.pretraining :],
    }


def _draw(
    task: Generated, instances: Instances, count: int, seed: int, **options: Any
) -> list[Instance]:
    """Draw distinct instances. Raises `InputError` when the ranges hold too few."""
    try:
        return generate(
            count,
            operands=instances.operands,
            number_range=instances.numbers,
            target_range=instances.answers,
            operators=task.operators,
            seed=seed,
            value_range=task.value_range,
            **options,
        )
    except ValueError as error:
        raise InputError(f"the task's data: {error}") from None
