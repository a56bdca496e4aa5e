"""Which prompts are all that there are, against instances that are counted one by one."""

import itertools

import pytest
from configs import ROOT
from recomputed_effects import reached

from online_il.config.miniature import MiniatureData
from online_il.studies import load_study
from online_il.tasks.miniature_data import whole_benchmarks

SMALL = {
    "kind": "miniature",
    "operators": "+-*",
    "value_range": [0, 99],
    "data_seed": 1,
    "in_distribution": {"operands": [3], "numbers": [1, 4], "answers": [2, 9]},
    "out_of_distribution": {"operands": [3], "numbers": [1, 12], "answers": [1, 60]},
    "pretraining": 10,
    "train": 0,
    "validation": 5,
    "id": 0,
    "ood": 10,
    "facts": {"count": 8, "choices": 4},
}


def counted(numbers: tuple[int, int], answers: tuple[int, int]) -> int:
    """Instances of three numbers in any order: a target that some expression of them equals."""
    low, high = answers
    return sum(
        low <= target <= high
        for chosen in itertools.combinations_with_replacement(range(numbers[0], numbers[1] + 1), 3)
        for target in reached(chosen)
    )


def whole(train: int, validation: int, held_out: int, **changes: object) -> list[str]:
    data = SMALL | changes | {"train": train, "validation": validation, "id": held_out}
    return whole_benchmarks(MiniatureData.model_validate(data))


@pytest.mark.parametrize("numbers", [(1, 4), (2, 5), (1, 7)])
@pytest.mark.parametrize("answers", [(2, 9), (0, 99), (5, 5)])
def test_they_are_all_where_training_validation_and_test_hold_every_instance(numbers, answers):
    there = counted(numbers, answers)
    inside = {"operands": [3], "numbers": list(numbers), "answers": list(answers)}
    assert there > 7
    for train, validation in ((there - 7, 5), (1, 2), (there // 2, 3)):
        left = there - train - validation
        assert whole(train, validation, left, in_distribution=inside) == ["forgetting", "id"]
        for other in (left - 1, left + 1):
            asked = max(other, 2)  # One prompt is refused.
            found = whole(train, validation, asked, in_distribution=inside)
            assert found == (["forgetting"] if asked != left else ["forgetting", "id"])


def test_where_there_are_too_many_to_count_they_are_a_sample():
    inside = {"operands": [5], "numbers": [1, 99], "answers": [1, 99]}
    assert whole(1000, 100, 100, in_distribution=inside) == ["forgetting"]


def test_the_miniatures_test_prompts_are_all_and_those_of_its_mixtures_are_not():
    assert counted((1, 10), (1, 50)) == 2022 == 1280 + 192 + 550
    for name, expected in (("mini", ["forgetting", "id"]), ("mixture", ["forgetting"])):
        (task,) = load_study(ROOT / "config" / f"{name}.yaml").tasks
        assert whole_benchmarks(task.data) == expected
