"""Wrong steps of a response, by hand."""

import pytest

from online_il.report.steps import Piece, pieces
from online_il.tasks.countdown import Instance


@pytest.mark.parametrize(
    ("response", "wrong"),
    [
        # 8 - 2 = 6, 6 - 1 = 5: all true.
        ("<think> 8 - 2 = 6 - 1 = 5 ok </think> <answer> ( 8 - 2 ) - 1 </answer>", []),
        # 2 * 8 is 16, not 15; 15 - 1 is 14, and 14 is rightly no target.
        ("<think> 2 * 8 = 15 - 1 = 14 no", [("2 * 8 = 15", "2 * 8 is 16, not 15")]),
        # The second equation starts from what the first claims.
        ("<think> 2 * 8 = 16 - 1 = 14 no", [("- 1 = 14", "16 - 1 is 15, not 14")]),
        ("<think> 8 + 2 = 10 + 1 = 11 ok", [("ok", "11 is not the target 5")]),
        ("<think> 8 - 2 = 6 - 1 = 5 no", [("no", "5 is the target 5")]),
        (
            "<think> </think> <answer> ( 8 + 2 ) - 1 </answer>",
            [("( 8 + 2 ) - 1", "the answer is 9, not 5")],
        ),
        ("<answer> 5 </answer>", [("5", "the answer does not use each number once")]),
        ("<answer> 8 - - </answer>", [("8 - -", "the answer is not an expression")]),
        # Two attempts, both wrong, in different ways.
        (
            "<think> 8 + 2 = 11 no 8 - 2 = 6 - 1 = 5 no",
            [("8 + 2 = 11", "8 + 2 is 10, not 11"), ("no", "5 is the target 5")],
        ),
        ("<think> 8 + = 10 no", [("8 + = 10", "8 + is not an expression")]),
        # Cut off, or no language at all: no step that could be judged.
        ("<think> 8 - 2 = 6 -", []),
        ("<think> 8 - 2 =", []),
        ("no ok = = </answer> <answer>", []),
        ("", []),
    ],
)
def test_wrong_steps_are_found(response: str, wrong: list[tuple[str, str]]) -> None:
    found = pieces(response, Instance((1, 2, 8), 5))
    assert [(p.text, p.wrong) for p in found if p.wrong] == wrong
    assert " ".join(piece.text for piece in found).split() == response.split()


def test_each_attempt_is_a_line() -> None:
    found = pieces("<think> 8 + 2 = 10 no 8 - 2 = 6 no </think>", Instance((1, 2, 8), 5))
    assert found == [Piece("<think> 8 + 2 = 10 no\n8 - 2 = 6 no\n</think>")]
