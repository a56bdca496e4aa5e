"""What the tests on a GPU train fits the card that they find, and is not far below it."""

import pytest
from gpu_sizes import ROOM, fitting

from online_il.cost.memory import GIB
from online_il.cost.shape import parameters

CARDS = {"H100": 79.1, "L40S": 44.4, "A100, 40 GB": 39.4, "L4, RTX 4090": 22.0}


@pytest.mark.parametrize("method", ["grpo", "sft", "distill"])
@pytest.mark.parametrize("card", CARDS)
def test_every_method_is_tried_on_every_card(card, method):
    trained = fitting(method, CARDS[card])
    share = trained.estimate.peak / GIB / CARDS[card]
    assert 0.55 <= share <= ROOM
    settings = trained.settings
    assert settings.update_size % settings.micro_batch_size == 0
    assert trained.estimate.vllm / GIB == pytest.approx(0 if method == "sft" else 0.3 * CARDS[card])


def test_a_larger_card_takes_a_larger_model():
    for method in ("grpo", "sft", "distill"):
        sizes = [parameters(fitting(method, gib).shape) for gib in sorted(CARDS.values())]
        assert sizes == sorted(sizes) and sizes[0] < sizes[-1] / 2
