"""Countdown: solver, generator and prompts against brute force and hand-worked cases."""

import ast
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import permutations, product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from online_il.tasks.countdown import (
    MAX_FRUITLESS_DRAWS,
    Instance,
    generate,
    key,
    reachable,
    score,
    score_tinyzero,
    solve,
)
from online_il.tasks.countdown_prompts import chat_messages, compact_prompt

PAPER = ((5, 94, 9, 44), 93)


def quick(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True)


# ---- brute force: every permutation x tree shape x choice of operators ----


def brute_trees(sequence, operators, value_range) -> Iterator[tuple[object, Fraction]]:
    if len(sequence) == 1:
        candidates = [(sequence[0], Fraction(sequence[0]))]
    else:
        candidates = []
        for cut in range(1, len(sequence)):
            lefts = list(brute_trees(sequence[:cut], operators, value_range))
            rights = list(brute_trees(sequence[cut:], operators, value_range))
            for (lt, lv), (rt, rv), op in product(lefts, rights, operators):
                if op == "/" and rv == 0:
                    continue
                value = {"+": lv + rv, "-": lv - rv, "*": lv * rv, "/": lv / (rv or 1)}[op]
                candidates.append(((op, lt, rt), value))
    for tree, value in candidates:
        inside = value_range is None or (
            value.denominator == 1 and value_range[0] <= value <= value_range[1]
        )
        if inside:
            yield tree, value


def canonical(tree):
    """Operands of + and * in one fixed order, whatever it is."""
    if isinstance(tree, int):
        return tree
    op, left, right = tree[0], canonical(tree[1]), canonical(tree[2])
    return (op, *sorted([left, right], key=repr)) if op in "+*" else (op, left, right)


def brute(numbers, operators, value_range=None) -> dict[Fraction, set]:
    found: dict[Fraction, set] = {}
    for order in set(permutations(numbers)):
        for tree, value in brute_trees(order, operators, value_range):
            found.setdefault(value, set()).add(canonical(tree))
    return found


def parsed(text):
    """The syntax tree of an expression, as Python reads it."""
    symbols = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}

    def walk(node):
        if isinstance(node, ast.Constant):
            return node.value
        return symbols[type(node.op)], walk(node.left), walk(node.right)

    return walk(ast.parse(text, mode="eval").body)


OPERATOR_SETS = st.sampled_from(["+-*/", "+-", "*", "/", "-/", "+*"])
VALUE_RANGES = st.sampled_from([None, None, (0, 99), (1, 12), (-5, 5)])


def small_numbers(low, high, top=15):
    return st.lists(st.integers(0, top), min_size=low, max_size=high)


def check_solver(numbers, operators, value_range):
    trees = brute(numbers, operators, value_range)
    integers = {int(value) for value in trees if value.denominator == 1}
    assert reachable(numbers, operators, value_range) == integers
    # A few of the targets, the unreachable next to the largest, and one far away.
    for target in [*sorted(integers)[::7], *sorted(integers)[-1:], max(integers, default=0) + 1]:
        texts = solve(numbers, target, operators, value_range)
        forms = [canonical(parsed(text)) for text in texts]
        assert len(set(forms)) == len(forms)
        assert set(forms) == trees.get(Fraction(target), set())


@given(small_numbers(1, 3), OPERATOR_SETS, VALUE_RANGES)
@example([0], "+-*/", None)
@example([0, 0], "+-*/", None)
@example([0, 0, 0], "+-*/", (0, 99))
@example([3, 3, 3], "+-*/", None)
@example([50, 60, 20], "+-*/", (0, 99))
@quick(120)
def test_solver_matches_brute_force(numbers, operators, value_range):
    check_solver(numbers, operators, value_range)


@given(small_numbers(4, 4), OPERATOR_SETS, VALUE_RANGES)
@example([8, 3, 8, 3], "+-*/", None)
@example([0, 0, 1, 1], "+-*/", None)
@example([2, 2, 2, 2], "+-*/", None)
@quick(30)
@pytest.mark.slow
def test_solver_matches_brute_force_on_four_numbers(numbers, operators, value_range):
    check_solver(numbers, operators, value_range)


@pytest.mark.slow
def test_reachable_is_where_solve_finds_something():
    for numbers in product(range(4), repeat=3):
        for value_range in (None, (0, 9)):
            found = {t for t in range(-30, 31) if solve(numbers, t, value_range=value_range)}
            assert found == reachable(numbers, value_range=value_range)


@pytest.mark.parametrize(
    ("numbers", "operators", "value_range", "expected"),
    [
        ((7,), "+-*/", None, {7}),
        ((2, 3), "+-*/", None, {5, -1, 1, 6}),
        ((6, 3), "/", None, {2}),
        ((0, 5), "+-*/", None, {5, -5, 0}),
        ((2, 3), "+-*/", (0, 99), {5, 1, 6}),
        ((2, 3), "+-*/", (0, 5), {5, 1}),
        ((2, 7), "+", (0, 5), set()),
        # ( 3 / 2 ) * 4 passes through a fraction, ( 3 * 4 ) / 2 does not.
        ((2, 3, 4), "*/", (0, 99), {24, 6}),
        # 50 + 60 leaves the range, 60 - 20 first does not.
        ((50, 60, 20), "+-", (0, 99), {90, 10, 30}),
        ((), "+-*/", None, set()),
    ],
)
def test_reachable_by_hand(numbers, operators, value_range, expected):
    assert reachable(numbers, operators, value_range) == expected


@pytest.mark.parametrize(
    ("numbers", "target", "operators", "expected"),
    [
        ((3, 12), 15, "+-*/", ["12 + 3"]),
        ((12, 3), 15, "+-*/", ["12 + 3"]),
        ((2, 2), 0, "+-*/", ["2 - 2"]),
        ((2, 2), 4, "+-*/", ["2 * 2", "2 + 2"]),
        ((4,), 4, "+-*/", ["4"]),
        ((4,), 5, "+-*/", []),
        ((3, 8, 3, 8), 24, "+-*/", ["8 / ( 3 - ( 8 / 3 ) )"]),
        ((1, 2, 3), 6, "+", ["( 2 + 1 ) + 3", "( 3 + 1 ) + 2", "( 3 + 2 ) + 1"]),
        ((1, 1, 5), 3, "-", ["( 5 - 1 ) - 1"]),
        ((9, 9, 9), 1000, "+-*/", []),
        ((), 0, "+-*/", []),
    ],
)
def test_solve_by_hand(numbers, target, operators, expected):
    assert solve(numbers, target, operators) == expected


def test_solve_takes_the_numbers_in_any_order():
    numbers, target = PAPER
    found = solve(numbers, target)
    assert found
    assert all(solve(order, target) == found for order in permutations(numbers))


@given(small_numbers(1, 3, top=99), st.data())
@quick(60)
def test_every_solution_scores_full_marks(numbers, data):
    targets = sorted(reachable(numbers))
    target = data.draw(st.sampled_from(targets))
    texts = solve(numbers, target)
    assert texts
    for text in texts:
        assert re.fullmatch(r"(\d+|[-+*/()])( (\d+|[-+*/()]))*", text)
        completion = f"so</think>\n<answer>{text}</answer>"
        assert score(completion, numbers, target) == 1.0
        assert score_tinyzero(completion, numbers, target) == 1.0
        assert score(completion, numbers, target + 1) == 0.1
        assert score_tinyzero(completion, numbers, target + 1) == 0.1
        assert score(completion, [*numbers, 1], target) == 0.1
        assert score_tinyzero(completion, [*numbers, 1], target) == 0.1


# ---- key, generate ----


def test_key_ignores_order_only():
    assert key((3, 12, 4), 19) == key([4, 3, 12], 19) == ((3, 4, 12), 19)
    assert key((3, 3, 4), 19) != key((3, 4, 4), 19)
    assert key((3, 12, 4), 19) != key((3, 12, 4), 20)


def small(count=40, **changes):
    arguments = {
        "operands": [2, 3],
        "number_range": (1, 9),
        "target_range": (10, 30),
        "seed": 5,
    }
    return generate(count, **{**arguments, **changes})


@given(
    st.lists(st.integers(2, 3), min_size=1, max_size=2),
    OPERATOR_SETS.filter(lambda operators: operators != "/"),
    VALUE_RANGES.filter(lambda bounds: bounds in (None, (0, 99))),
    st.integers(0, 10**6),
)
@quick(40)
@pytest.mark.slow
def test_generated_instances_hold_their_promises(operands, operators, value_range, seed):
    arguments = {
        "operands": operands,
        "number_range": (1, 20),
        "target_range": (1, 60),
        "operators": operators,
        "value_range": value_range,
    }
    taken = {key(*each) for each in generate(8, seed=seed + 1, **arguments)}
    found = generate(12, seed=seed, exclude=taken, accept=lambda i: i.target % 2 == 0, **arguments)
    assert len(found) == 12
    assert len({key(*each) for each in found} | taken) == 20
    for numbers, target in found:
        assert len(numbers) in operands
        assert all(1 <= number <= 20 for number in numbers)
        assert 1 <= target <= 60
        assert target % 2 == 0
        assert solve(numbers, target, operators, value_range)


def test_generate_is_deterministic_in_the_seed():
    assert small() == small()
    assert small() != small(seed=6)
    assert all(type(each) is Instance and type(each.numbers) is tuple for each in small())


def test_generate_uses_all_it_is_allowed():
    found = small(200)
    assert {len(each.numbers) for each in found} == {2, 3}
    assert {number for each in found for number in each.numbers} == set(range(1, 10))
    assert {10, 30} <= {each.target for each in found}
    # Drawn order, not sorted order.
    assert any(list(each.numbers) != sorted(each.numbers) for each in found)
    five_and_five = generate(4, operands=[2], number_range=(5, 5), target_range=(0, 50), seed=0)
    assert {each.target for each in five_and_five} == {0, 1, 10, 25}


def test_generate_finds_the_last_instance_and_says_when_there_are_no_more():
    arguments = {"operands": [1], "number_range": (1, 3), "target_range": (0, 9), "seed": 0}
    assert {each.target for each in generate(3, **arguments)} == {1, 2, 3}
    with pytest.raises(ValueError, match=r"asked for 4 instances, found 3 .*taken.*number_range"):
        generate(4, **arguments)
    rest = generate(2, exclude={((2,), 2)}, **arguments)
    assert {each.target for each in rest} == {1, 3}


@pytest.mark.slow
def test_generate_needs_a_solvable_instance():
    with pytest.raises(ValueError, match=r"asked for 1 .*found 0 .*widen target_range"):
        generate(1, operands=[2], number_range=(1, 2), target_range=(100, 200), seed=0)
    with pytest.raises(ValueError, match="refused by accept"):
        small(1, accept=lambda instance: False)


def test_generate_gives_up_after_a_bounded_number_of_draws():
    draws = []

    def refuse(instance):
        draws.append(instance)
        return False

    with pytest.raises(ValueError, match="refused"):
        generate(1, operands=[1], number_range=(1, 9), target_range=(1, 9), seed=0, accept=refuse)
    assert len(draws) == MAX_FRUITLESS_DRAWS
    # Only draws in a row count: far more refusals than that, never many together.
    draws.clear()
    found = generate(
        1500,
        operands=[1],
        number_range=(1, 10**9),
        target_range=(1, 10**9),
        seed=0,
        accept=lambda instance: refuse(instance) or len(draws) % 5 == 0,
    )
    assert len(found) == 1500 < MAX_FRUITLESS_DRAWS < len(draws)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": -1}, "count"),
        ({"operands": []}, "operands"),
        ({"operands": [0, 2]}, "operands"),
        ({"operators": ""}, "operators"),
        ({"operators": "+^"}, "operators"),
        ({"number_range": (9, 1)}, "number_range"),
        ({"number_range": (-3, 9)}, "number_range"),
        ({"target_range": (9, 1)}, "target_range"),
        ({"value_range": (9, 1)}, "value_range"),
    ],
)
def test_generate_refuses_malformed_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        small(**changes)


def test_generate_of_nothing():
    assert small(0) == []


@pytest.mark.parametrize("call", [lambda o: reachable((1, 2), o), lambda o: solve((1, 2), 3, o)])
@pytest.mark.parametrize("operators", ["", "**%"])
def test_unknown_operators(call, operators):
    with pytest.raises(ValueError, match="operators"):
        call(operators)


# ---- prompts ----


def test_chat_messages_are_the_papers():
    assert chat_messages(*PAPER) == [
        {
            "role": "system",
            "content": "You are a helpful assistant. You first think about the reasoning process "
            "in the mind and then provide the user with the answer.",
        },
        {
            "role": "user",
            "content": "Using the numbers [5, 94, 9, 44], create an equation that equals 93. You "
            "can use basic arithmetic operations (+, -, *, /) and each number can only be used "
            "once. Show your work in <think> </think> tags. And return the final answer in "
            "<answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>.",
        },
        {"role": "assistant", "content": "Let me solve this step by step.\n<think>"},
    ]


def test_compact_prompt():
    assert compact_prompt((3, 12, 4), 19) == "<bos> 3 12 4 T 19 :"
