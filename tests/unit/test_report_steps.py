"""Wrong steps of a response, by hand: in the miniature's language and in English."""

import pytest

from online_il.report.steps import Piece, pieces
from online_il.tasks import english
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


ENGLISH = (english.RIGHT, english.WRONG)


@pytest.mark.parametrize(
    ("response", "wrong"),
    [
        # All true: 1 + 4 = 5, 5 + 2 = 7 is not 10; 2 * 1 = 2, 2 + 4 = 6 is neither; 2 + 4 = 6.
        (
            "1 + 4 = 5 + 2 = 7 no. 2 * 1 = 2 + 4 = 6 no. <answer>( 2 * 1 ) + 4</answer>",
            [("( 2 * 1 ) + 4", "the answer is 6, not 10")],
        ),
        ("2 + 1 = 3 * 4 = 12 no. <answer>2 * ( 1 + 4 )</answer>", []),
        ("4 + 1 = 5 * 2 = 10 yes. <answer>( 4 + 1 ) * 2</answer>", []),
        # Dishonest checks, of both kinds.
        ("4 + 1 = 5 * 2 = 10 no.", [("no.", "10 is the target 10")]),
        ("4 + 2 = 6 + 1 = 7 yes.", [("yes.", "7 is not the target 10")]),
        # 4 + 1 is 5, so that the check is honest about a false value.
        ("4 + 1 = 6 - 2 = 4 no.", [("4 + 1 = 6", "4 + 1 is 5, not 6")]),
        ("<answer>4 + 4 + 2</answer>", [("4 + 4 + 2", "the answer does not use each number once")]),
        ("<answer>ten</answer> 4", [("ten", "the answer is not an expression")]),
        # The miniature's words are no checks here; prose is no step.
        ("4 + 1 = 5 ok no", []),
        ("I know that 4 + 1 = 7 and no. The capital = Paris", []),
        ("<answer>4 + 1", []),
        ("", []),
        # Numbers that Python refuses to read.
        (f"4 + 1 = {'9' * 5000} no.", []),
    ],
)
def test_wrong_steps_are_found_in_english(response: str, wrong: list[tuple[str, str]]) -> None:
    found = pieces(response, Instance((1, 2, 4), 10), ENGLISH)
    assert [(p.text, p.wrong) for p in found if p.wrong] == wrong
    # All that was written is shown, spaces aside.
    assert "".join("".join(piece.text for piece in found).split()) == "".join(response.split())


def test_each_attempt_in_english_is_a_line() -> None:
    text = "1 + 4 = 5 no. 2 + 4 = 6 no. <answer>2 * ( 1 + 4 )</answer>"
    found = pieces(text, Instance((1, 2, 4), 10), ENGLISH)
    assert found == [Piece("1 + 4 = 5 no.\n2 + 4 = 6 no.\n<answer> 2 * ( 1 + 4 ) </answer>")]
