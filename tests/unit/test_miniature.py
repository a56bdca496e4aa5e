"""The miniature world: its traces, its facts and its measure of honest checks, worked by hand."""

import random
import re
from collections import Counter
from itertools import permutations, product

import pytest

from online_il.tasks.countdown import Instance, score
from online_il.tasks.countdown_prompts import compact_prompt
from online_il.tasks.miniature import (
    LARGEST,
    VOCABULARY,
    Chain,
    Fact,
    answer_text,
    attempt_text,
    attempts,
    chains,
    check_rate,
    fact_prompt,
    facts,
    practice_trace,
    searcher_trace,
    solver_response,
    solving_chains,
    values,
)

TRACE = re.compile(r"<think> (.+) </think> <answer> (.+) </answer> <eos>")
INSTANCE = Instance((3, 12, 4), 19)
SEARCH = {"solve_probability": 0.3, "continue_probability": 0.6, "max_attempts": 4}


def instances(count: int, seed: int) -> list[Instance]:
    """Any three or four numbers and any target, solvable or not."""
    rng = random.Random(seed)
    return [
        Instance(tuple(rng.randint(1, 12) for _ in range(rng.choice((3, 4)))), rng.randint(1, 60))
        for _ in range(count)
    ]


def brute_chains(numbers, target=None) -> set[Chain]:
    """Every legal chain over the numbers, or those with this result."""
    found = set()
    for order in permutations(numbers):
        for operators in product("+-*", repeat=len(order) - 1):
            running, legal = order[0], True
            for operator, number in zip(operators, order[1:], strict=True):
                running = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[operator](
                    running, number
                )
                legal = legal and 0 <= running <= 99
            if legal and target in (None, running):
                found.add(Chain(order, operators))
    return found


def parse(trace: str) -> tuple[list[tuple[list[str], str]], str]:
    """([(words of an attempt, its verdict), ...], the answer) of a trace."""
    match = TRACE.fullmatch(trace)
    assert match, trace
    words: list[str] = []
    attempts = []
    for word in match[1].split():
        if word in ("ok", "no"):
            attempts.append((words, word))
            words = []
        else:
            words.append(word)
    assert not words, "words after the last check"
    return attempts, match[2]


def read_attempt(words: list[str]) -> tuple[Counter, list[int], str]:
    """(numbers used, claimed values, the same chain as nested text), each equation checked."""
    used, claimed = [int(words[0])], []
    text = words[0]
    rest = words[1:]
    running = int(words[0])
    assert rest and len(rest) % 4 == 0
    for operator, number, equals, value in zip(*(rest[i::4] for i in range(4)), strict=True):
        assert equals == "=" and operator in "+-*"
        running = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}[operator](
            running, int(number)
        )
        assert running == int(value), words
        assert 0 <= running <= 99
        used.append(int(number))
        claimed.append(running)
        text = f"({text}{operator}{number})"
    return Counter(used), claimed, text


def test_every_trace_parses_and_each_check_in_it_is_honest():
    rng = random.Random(0)
    for instance in instances(300, seed=1):
        tried, answer = parse(searcher_trace(rng, instance, **SEARCH))
        assert 1 <= len(tried) <= SEARCH["max_attempts"]
        for words, verdict in tried:
            used, claimed, _ = read_attempt(words)
            assert used == Counter(instance.numbers)
            assert verdict == ("ok" if claimed[-1] == instance.target else "no")
        # Only the last attempt may be right, for the searcher stops there, and it is the answer.
        assert all(verdict == "no" for _, verdict in tried[:-1])
        bare = "".join(answer.split())
        assert f"({bare})" == read_attempt(tried[-1][0])[2]


def test_a_trace_is_rewarded_exactly_when_its_last_check_says_ok():
    rng = random.Random(2)
    outcomes = set()
    for instance in instances(300, seed=3):
        trace = searcher_trace(rng, instance, **SEARCH)
        ok = parse(trace)[0][-1][1] == "ok"
        outcomes.add(ok)
        assert score(trace, *instance) == (1.0 if ok else 0.1)
    assert outcomes == {True, False}


@pytest.mark.slow
def test_check_rate_finds_every_attempt_of_a_searcher_honest():
    rng = random.Random(4)
    for instance in instances(200, seed=5):
        trace = searcher_trace(rng, instance, **SEARCH)
        tried, _ = parse(trace)
        solved = sum(verdict == "ok" for _, verdict in tried)
        assert check_rate(trace, instance.target) == (len(tried), len(tried), solved)


def test_attempts_solve_as_often_as_stated_and_never_repeat():
    solve, n_traces = 0.3, 4000
    total, right = len(brute_chains(INSTANCE.numbers)), len(brute_chains(INSTANCE.numbers, 19))
    assert 0 < right < total / 2
    rng = random.Random(6)
    made, solved = Counter[int](), Counter[int]()
    for _ in range(n_traces):
        seen = set()
        for place, (chain, hit) in enumerate(attempts(rng, INSTANCE, solve)):
            assert chain not in seen and hit == (values(chain)[-1] == 19)
            seen.add(chain)
            made[place] += 1
            solved[place] += hit
        assert hit, "it goes on until an attempt solves"
    # A guess may be right as well, ever more often as chains are used up.
    for place in range(5):
        rate = solve + (1 - solve) * right / (total - place)
        error = (rate * (1 - rate) / made[place]) ** 0.5
        assert solved[place] / made[place] == pytest.approx(rate, abs=4 * error)


def test_without_guidance_every_chain_is_equally_likely():
    exact = brute_chains((3, 12, 4))
    rng = random.Random(8)
    n_draws = 8000
    counts = Counter(next(attempts(rng, INSTANCE, 0.0))[0] for _ in range(n_draws))
    assert set(counts) == exact
    share = 1 / len(exact)
    error = (share * (1 - share) / n_draws) ** 0.5
    assert all(n / n_draws == pytest.approx(share, abs=5 * error) for n in counts.values())


def test_without_a_solution_every_chain_is_tried_once():
    tried = [chain for chain, _ in attempts(random.Random(0), Instance((1, 2, 1), 60), 0.5)]
    assert len(tried) == len(set(tried)) and set(tried) == brute_chains((1, 2, 1))


def test_searchers_continue_as_often_as_stated():
    go_on = 0.6
    rng = random.Random(6)
    continued = failures = 0
    for _ in range(4000):
        tried, _ = parse(
            searcher_trace(
                rng, INSTANCE, solve_probability=0.3, continue_probability=go_on, max_attempts=50
            )
        )
        continued += len(tried) - 1
        failures += sum(verdict == "no" for _, verdict in tried)
    assert continued / failures == pytest.approx(
        go_on, abs=4 * (go_on * (1 - go_on) / failures) ** 0.5
    )


def test_a_searcher_that_always_solves_makes_one_right_attempt():
    for seed in range(20):
        trace = searcher_trace(
            random.Random(seed),
            INSTANCE,
            solve_probability=1.0,
            continue_probability=1.0,
            max_attempts=8,
        )
        assert [verdict for _, verdict in parse(trace)[0]] == ["ok"]


def test_a_searcher_without_a_solution_stops_at_the_longest_search():
    unsolvable = Instance((1, 1, 1), 60)
    trace = searcher_trace(
        random.Random(0),
        unsolvable,
        solve_probability=1.0,
        continue_probability=1.0,
        max_attempts=5,
    )
    assert [verdict for _, verdict in parse(trace)[0]] == ["no"] * 5


def test_a_searcher_that_never_continues_makes_one_attempt():
    lengths = {
        len(
            parse(
                searcher_trace(
                    random.Random(seed),
                    INSTANCE,
                    solve_probability=0.0,
                    continue_probability=0.0,
                    max_attempts=8,
                )
            )[0]
        )
        for seed in range(50)
    }
    assert lengths == {1}


@pytest.mark.parametrize(
    "numbers, target",
    [
        ((3, 12, 4), 19),
        ((5, 5, 2), 20),
        ((7, 7), 49),
        ((1, 1, 1), 60),
        ((2, 3, 4, 5), 14),
        ((9,), 9),
    ],
)
def test_solving_chains_are_those_of_brute_force(numbers, target):
    found = solving_chains(numbers, target)
    assert len(found) == len(set(found))
    assert set(found) == brute_chains(numbers, target)
    assert set(chains(numbers)) == brute_chains(numbers)


def test_solving_chains_do_not_depend_on_the_order_of_the_numbers():
    assert solving_chains((12, 4, 3), 19) == solving_chains((3, 12, 4), 19)


def test_the_text_of_a_chain_is_as_in_the_docstrings():
    chain = Chain((3, 12, 4), ("*", "-"))
    assert values(chain) == [36, 32]
    assert attempt_text(chain, 19) == "3 * 12 = 36 - 4 = 32 no"
    assert attempt_text(chain, 32) == "3 * 12 = 36 - 4 = 32 ok"
    assert answer_text(chain) == "( 3 * 12 ) - 4"
    assert answer_text(Chain((2, 3, 4, 5), ("+", "*", "-"))) == "( ( 2 + 3 ) * 4 ) - 5"


HONEST = "3 * 12 = 36 - 4 = 32 no"
SOLVED = "12 + 4 = 16 + 3 = 19 ok"


@pytest.mark.parametrize(
    "response, expected",
    [
        pytest.param(f"<think> {HONEST} {SOLVED} </think>", (2, 2, 1), id="honest"),
        pytest.param("<think> 3 * 12 = 36 - 4 = 32 ok </think>", (1, 0, 1), id="false ok"),
        pytest.param("<think> 12 + 4 = 16 + 3 = 19 no </think>", (1, 0, 0), id="false no"),
        pytest.param("<think> 12 + 4 = 17 + 3 = 20 no </think>", (1, 0, 0), id="false sum"),
        pytest.param("<think> 12 + 4 = 17 + 2 = 19 ok </think>", (1, 0, 1), id="false sum, hit"),
        pytest.param("<think> 12 + 4 = 16 + 3 = 20 no </think>", (1, 0, 0), id="false last sum"),
        pytest.param(f"<think> {HONEST} 12 + 4 = 16 +", (1, 1, 0), id="cut off in an attempt"),
        pytest.param(f"<think> {HONEST}", (1, 1, 0), id="cut off after an attempt"),
        pytest.param(f"<think> {HONEST} no ok </think>", (3, 1, 1), id="checks of nothing"),
        pytest.param("<think> 12 + = 16 no ( T 4 = ok </think>", (2, 0, 1), id="garbage"),
        pytest.param("<think> 12 + 4 = no </think>", (1, 0, 0), id="no value"),
        pytest.param("<think> 12 + 4 = 16 3 no </think>", (1, 0, 0), id="two values"),
        pytest.param("<think> 19 ok </think>", (1, 0, 1), id="no equation"),
        pytest.param("<think> 7 - 9 = 2 no </think>", (1, 0, 0), id="lost sign"),
        pytest.param("<think> </think> <answer> 3 </answer>", (0, 0, 0), id="no search"),
        pytest.param("<think> </think> 12 + 7 = 19 ok", (0, 0, 0), id="outside the thought"),
        pytest.param(f"{SOLVED}", (0, 0, 0), id="no thought"),
        pytest.param("", (0, 0, 0), id="empty"),
    ],
)
def test_check_rate_counts_as_by_hand(response, expected):
    assert check_rate(response, 19) == expected


def test_the_solver_answers_at_once_and_right():
    rng = random.Random(9)
    seen = set()
    for _ in range(30):
        response = solver_response(rng, INSTANCE)
        seen.add(response)
        assert score(response, *INSTANCE) == 1.0
        assert re.fullmatch(r"<think> </think> <answer> .+ </answer> <eos>", response)
        assert set(response.split()) <= set(VOCABULARY)
    assert len(seen) > 1, "every solution is drawn, not the first one alone"


def test_the_solver_refuses_an_instance_without_solution():
    with pytest.raises(ValueError, match="no solution"):
        solver_response(random.Random(0), Instance((1, 1, 1), 60))


def test_facts_have_distinct_keys_and_choices_that_hold_the_value():
    table = facts(500, seed=1, n_choices=4)
    assert len(table) == 500
    assert len({(fact.a, fact.b) for fact in table}) == 500
    for fact in table:
        assert len(fact.choices) == len(set(fact.choices)) == 4
        assert fact.value in fact.choices
        assert all(0 <= number <= LARGEST for number in (fact.a, fact.b, *fact.choices))


def test_the_right_choice_stands_at_each_place_equally_often():
    places = Counter(fact.choices.index(fact.value) for fact in facts(2000, seed=2))
    assert set(places) == {0, 1, 2, 3}
    for count in places.values():
        assert count == pytest.approx(500, abs=5 * (2000 * 0.25 * 0.75) ** 0.5)


def test_values_of_facts_cannot_be_guessed_from_their_keys():
    table = facts(5000, seed=3)
    counts = Counter(fact.value for fact in table)
    assert len(counts) == LARGEST + 1
    assert max(counts.values()) < 50 + 6 * 50**0.5
    # Independent of a and b: no linear relation, and a value equals a key at the rate of chance.
    assert abs(sum((f.a - 49.5) * (f.value - 49.5) for f in table) / 5000) < 6 * 833 / 5000**0.5
    assert sum(f.value in (f.a, f.b) for f in table) / 5000 < 0.04


def test_facts_depend_on_the_seed_alone():
    assert facts(50, seed=1) == facts(50, seed=1)
    assert facts(50, seed=1) != facts(50, seed=2)


def test_all_keys_can_be_used_but_no_more():
    table = facts(10_000, seed=0)
    assert {(f.a, f.b) for f in table} == set(product(range(100), repeat=2))
    with pytest.raises(ValueError, match="10001 facts"):
        facts(10_001, seed=0)


def test_the_vocabulary_has_no_token_twice_and_every_number():
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert {str(number) for number in range(100)} <= set(VOCABULARY)
    assert VOCABULARY[:3] == ("<pad>", "<bos>", "<eos>")


def test_every_word_of_a_trace_is_a_token():
    rng = random.Random(10)
    for item in instances(300, seed=11):
        assert set(searcher_trace(rng, item, **SEARCH).split()) <= set(VOCABULARY)
        words, _ = practice_trace(rng, item, solve_probability=0.2, max_attempts=4)
        assert set(words.split()) <= set(VOCABULARY)


def test_a_practice_trace_trains_results_and_checks_and_nothing_else():
    rng = random.Random(13)
    for item in instances(200, seed=14):
        text, trained = practice_trace(rng, item, solve_probability=0.2, max_attempts=5)
        words = text.split()
        assert len(words) == len(trained) and words[0] == "<think>"
        for index, (word, yes) in enumerate(zip(words, trained, strict=True)):
            assert yes == (word in ("ok", "no") or words[index - 1] == "=")
        checks = [word for word in words if word in ("ok", "no")]
        n_attempts, honest, positive = check_rate(text + " </think>", item.target)
        assert n_attempts == honest == len(checks)
        # It goes on until an attempt solves or all are made.
        assert checks[:-1] == ["no"] * (len(checks) - 1)
        assert positive == 1 or len(checks) == min(5, len(chains(tuple(sorted(item.numbers)))))


def test_the_prompts_are_those_of_the_language():
    assert fact_prompt(Fact(3, 14, 15, (15, 92))) == "<bos> F 3 14 :"
    assert compact_prompt(*INSTANCE) == "<bos> 3 12 4 T 19 :"
