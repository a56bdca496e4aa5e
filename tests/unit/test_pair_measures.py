"""The measures of a pair against the enumeration of a tiny language, and what evaluation wrote."""

import math

import numpy as np
import pytest
from tabular import LONGEST, Tabular, chance, responses, table

from online_il.errors import InputError
from online_il.experts.mixture import Mixture, Part
from online_il.files import write_table
from online_il.pairs.answers import Answers, answers, by_prompt, check_same_prompts
from online_il.pairs.measures import Opened, log_density, measures_of_seed
from online_il.records import Samples

WIDTH, PROMPTS, EACH = 3, 500, 2
OWN, LEARNABLE, OTHER, BASE = (table(WIDTH, seed) for seed in (31, 32, 33, 34))
EXPERT = Mixture(
    "mixture",
    [Part("a", Tabular(LEARNABLE), 0.25, True), Part("b", Tabular(OTHER), 0.75, False)],
)
SETTINGS = {"quantiles": [0.5, 1], "density_clip": 1.0, "batch_size": 400}
NAMES = np.repeat([f"p{number:03d}" for number in range(PROMPTS)], EACH).astype(object)


def mixed(response) -> float:
    return 0.25 * chance(LEARNABLE, response) + 0.75 * chance(OTHER, response)


def reward(response) -> float:
    return float(len(response) == 2)


def drawn(policy, seed: int, shares: bool = False) -> Answers:
    keys = [(row // EACH, row % EACH) for row in range(len(NAMES))]
    rows = policy.respond([[1]] * len(keys), keys, max_new_tokens=LONGEST, seed=seed)
    share_N = np.array([0.25 * chance(LEARNABLE, tuple(r)) / mixed(tuple(r)) for r in rows])
    return Answers(NAMES, rows, np.array(list(map(reward, rows))), share_N if shares else None, 0)


def exact_kl(own, other) -> float:
    every = [(own(y), other(y)) for y in responses(WIDTH)]
    return math.fsum(p * math.log(p / q) for p, q in every if p > 0)


@pytest.fixture(scope="module")
def found():
    student, expert, base = Tabular(OWN), EXPERT, Tabular(BASE)
    own, best = drawn(student, 1), drawn(Tabular(LEARNABLE), 4)
    rows = measures_of_seed(
        Opened(student, own),
        Opened(expert, drawn(expert, 2, shares=True)),
        Opened(base, drawn(base, 3)),
        family=[("s@2", own), ("base", drawn(base, 3)), ("learnable", best)],
        prompts={name: [1] for name in NAMES},
        log_coverage=math.log(4),
        **SETTINGS,
    )
    return {row.measure: row for row in rows}


def own(response) -> float:
    return chance(OWN, response)


def base(response) -> float:
    return chance(BASE, response)


@pytest.mark.parametrize(
    "name, first, second",
    [
        ("kl_student_expert", own, mixed),
        ("kl_expert_student", mixed, own),
        ("kl_student_base", own, base),
        ("kl_base_student", base, own),
    ],
)
def test_both_estimates_of_each_kl_are_within_their_errors(found, name, first, second):
    exact = exact_kl(first, second)
    for one in (found[name], found[f"{name}_by_ratios"]):
        assert abs(one.estimate - exact) < 4 * one.stderr < 0.5 * exact
        assert one.unit == "nats a response" and not one.note


def test_the_learnable_part_pays_its_share(found):
    """w_k E_{pi_k}[log pi^e / pi] by enumeration of the part's own responses."""
    exact = math.fsum(
        0.25 * chance(LEARNABLE, y) * math.log(mixed(y) / own(y)) for y in responses(WIDTH)
    )
    one = found["kl_expert_student_learnable"]
    assert abs(one.estimate - exact) < 4 * one.stderr < 0.5
    whole = found["kl_expert_student"].estimate
    assert abs(exact - whole) > 4 * one.stderr, "the whole KL would be seen"


def test_quantiles_are_those_of_the_log_ratios(found):
    """Of the thousand responses, the one of rank 500 and the last."""
    rows = [tuple(row) for row in drawn(Tabular(OWN), 1).responses]
    for other, chance_of in (("expert", mixed), ("base", base)):
        ratios = sorted(math.log(own(row) / chance_of(row)) for row in rows)
        for quantile, ratio in (("0.5", ratios[499]), ("1", ratios[999])):
            estimate = found[f"log_student_{other}_q{quantile}"].estimate
            assert estimate == pytest.approx(ratio, abs=1e-9)
    assert found["log_coverage"].estimate == math.log(4)


def test_log_densities_and_alignment_of_both_signals(found):
    """The slope of f on reward within prompts, and what J and V of three policies differ by."""
    family = [drawn(Tabular(policy), n) for policy, n in ((OWN, 1), (BASE, 3), (LEARNABLE, 4))]
    student = family[0]
    found_N = log_density(EXPERT, [[1]] * 1000, student.responses, 300)
    assert found_N.tolist() == pytest.approx([math.log(mixed(tuple(r))) for r in student.responses])
    chance_K_N = np.array([[mixed(tuple(row)) for row in one.responses] for one in family])
    reward_K_N = np.array([one.reward_N for one in family])
    value_K = reward_K_N.mean(1)
    centred_r = reward_K_N.reshape(3, PROMPTS, EACH)
    centred_r = centred_r - centred_r.mean((0, 2), keepdims=True)
    clipped_K_N = np.minimum(1, math.e * chance_K_N)  # One nat.
    for name, signal_K_N in (("log", np.log(chance_K_N)), ("density", clipped_K_N)):
        j_K = signal_K_N.mean(1)
        alpha = (centred_r * signal_K_N.reshape(3, PROMPTS, EACH)).sum() / (centred_r**2).sum()
        assert found[f"alpha_{name}"].estimate == pytest.approx(alpha)
        assert found[f"epsilon_{name}"].estimate == pytest.approx(j_K.max() - j_K[0])
        assert found[f"loss_{name}"].estimate == pytest.approx(value_K.max() - value_K[0])
        assert found[f"bound_{name}"].estimate >= found[f"loss_{name}"].estimate - 1e-9
    assert found["alpha_density"].unit == "clipped density a unit of reward"
    best = ("s@2", "base", "learnable")[value_K.argmax()]
    assert found["loss_log"].note == f"to {best}"


def test_what_has_no_probability_is_said_in_words():
    """The expert cannot follow: log-densities of minus infinity, and no fit for f = log."""
    never = {prefix: chances.copy() for prefix, chances in OTHER.items()}
    never[()] = np.array([1.0, 0.0, 0.0])
    student, expert = Tabular(OWN), Tabular(never)
    mine, base_one = drawn(student, 1), Opened(Tabular(BASE), drawn(Tabular(BASE), 3))
    impossible = sum(row[0] != 0 for row in mine.responses)
    rows = measures_of_seed(
        Opened(student, mine),
        Opened(expert, drawn(expert, 2)),
        base_one,
        family=[("s@2", mine)],
        prompts={name: [1] for name in NAMES},
        log_coverage=None,
        **SETTINGS,
    )
    told = {row.measure: row for row in rows}
    assert told["kl_student_expert"].estimate == math.inf
    assert told["log_student_expert_q1"].estimate == math.inf
    words = f"{impossible} of 1000 responses have no probability under expert"
    assert told["kl_student_expert"].note == words
    assert math.isfinite(told["kl_expert_student"].estimate)
    assert math.isnan(told["alpha_log"].estimate)
    assert f"minus infinity for {impossible} of 1000" in told["alpha_log"].note
    assert math.isfinite(told["alpha_density"].estimate)
    assert "bound_log" not in told and "log_coverage" not in told


def test_other_prompts_or_counts_are_refused():
    one = Answers(np.array(["a", "a", "b"], dtype=object), [[1]] * 3, np.zeros(3), None, 0)
    with pytest.raises(InputError, match="prompt b has 1 responses and prompt a 2"):
        by_prompt(one.reward_N, one.prompt_N)
    other = one._replace(prompt_N=np.array(["a", "b", "b"], dtype=object))
    with pytest.raises(InputError, match="first and second answered other prompts"):
        check_same_prompts([("first", one), ("second", other)])


def written(folder, **changed) -> None:
    row = {
        "prompt_id": "p", "sample_index": 0, "policy": "s/step2", "seed": 1, "text": "a",
        "n_tokens": 2, "finish_reason": "length", "reward": 0.5, "reward_tinyzero": math.nan,
        "correct_strict": math.nan, "correct": False, "format_ok": True, "token_ids": [1, 2],
    }  # fmt: skip
    rows = [row | {"sample_index": 1, "token_ids": [2, 0], "finish_reason": "stop"}, row | changed]
    write_table(rows, Samples, folder / "step2" / "id.parquet", {})


def test_responses_are_read_by_prompt_and_sample(tmp_path):
    written(tmp_path)
    found = answers(tmp_path, 2, "id", 2)
    assert found.responses == [[1, 2], [2, 0]] and found.truncated == 1
    assert found.share_learnable_N is None and found.reward_N.tolist() == [0.5, 0.5]


def test_responses_that_are_missing_or_have_no_tokens_are_refused_with_a_remedy(tmp_path):
    with pytest.raises(InputError, match=r"no such file; delete .* and start again"):
        answers(tmp_path, 2, "id", 2)
    written(tmp_path, token_ids=None)
    with pytest.raises(InputError, match="without the tokens that were sampled; delete"):
        answers(tmp_path, 2, "id", 2)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_of_more_responses_the_first_are_read_prompt_by_prompt(tmp_path, count):
    """A last checkpoint has eight; the ones before it, which it is put before, fewer."""
    row = {
        "policy": "s/step2", "seed": 1, "text": "a", "n_tokens": 1, "finish_reason": "stop",
        "reward_tinyzero": math.nan, "correct_strict": math.nan, "correct": False,
        "format_ok": True,
    }  # fmt: skip
    rows = [
        row
        | {"prompt_id": prompt, "sample_index": sample, "token_ids": [number, sample]}
        | {"reward": number / 2 + sample / 10}
        for sample in (2, 0, 1)
        for number, prompt in ((1, "q"), (0, "p"))
    ]
    write_table(rows, Samples, tmp_path / "step2" / "id.parquet", {})
    found = answers(tmp_path, 2, "id", count)
    kept = [(number, sample) for number in (0, 1) for sample in range(count)]
    assert found.responses == [list(one) for one in kept]
    assert found.prompt_N.tolist() == ["p"] * count + ["q"] * count
    assert found.reward_N.tolist() == [number / 2 + sample / 10 for number, sample in kept]
