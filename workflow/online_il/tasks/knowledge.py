"""What a language model knows of countries: sentences of which the likeliest end counts.

"The capital of France is" is read with " Paris." and three wrong ends of its kind and continent. A
model of 135 million parameters knows capitals and cannot yet choose a letter, so that the ends
themselves are scored, as cloze tests are. The full stop belongs to each: an end that another
begins with ("Guinea", "Guinea-Bissau") would otherwise never be less likely than it. The sum of an
end's tokens is what counts, not their mean, for that is the probability of the sentence. Each
country is asked once of a kind, each currency once at all; a right end is a wrong one elsewhere, so
that it pays little to know the words alone.
"""

import csv
import random
from collections.abc import Iterator
from pathlib import Path

from online_il.config.knowledge import Knowledge
from online_il.provenance import file_hash
from online_il.tasks.prompt import Prompt

FILE = Path(__file__).parents[2] / "facts" / "countries.csv"
"""A row a country with what several packages agree on (its make.py); what is empty is not asked."""
CHOICES = 4
KINDS = {
    "capital": "The capital of {country} is",
    "country": "{capital} is the capital of",
    "currency": "The currency of {country} is the",
}
"""What is asked, by the column of the table that ends the sentence."""

Country = dict[str, str]


def questions(settings: Knowledge) -> list[Prompt]:
    """Ask all that the table knows, in an order that the table gives."""
    with FILE.open(encoding="utf-8", newline="") as file:
        countries = list(csv.DictReader(file))
    asked = [one for kind in KINDS for one in _of_kind(kind, countries, settings.seed)]
    rng = random.Random(f"places {settings.seed}")
    places = [number % CHOICES for number in range(len(asked))]  # As often first as last.
    rng.shuffle(places)
    return [
        _prompt(kind, country, wrong, place, settings.seed)
        for (kind, country, wrong), place in zip(asked, places, strict=True)
    ]


def _of_kind(
    kind: str, countries: list[Country], seed: int
) -> Iterator[tuple[str, Country, list[str]]]:
    """Yield each country that is asked for this, with the wrong ends of its question."""
    rng = random.Random(f"{kind} {seed}")
    known = [one for one in countries if one["capital" if kind == "country" else kind]]
    if kind == "currency":  # One country for each word.
        of_word = {one["currency"]: one for one in rng.sample(known, len(known))}
        known = [one for one in known if of_word[one["currency"]] is one]
    for one in known:
        near = {other[kind] for other in known if other["continent"] == one["continent"]}
        if len(others := sorted(near - {one[kind]})) >= CHOICES - 1:
            yield kind, one, rng.sample(others, CHOICES - 1)


def _prompt(kind: str, country: Country, wrong: list[str], place: int, seed: int) -> Prompt:
    words = [*wrong[:place], country[kind], *wrong[place:]]
    answer = {
        "grader": "choice",
        "choices": [f" {word}." for word in words],
        "correct": f" {country[kind]}.",
        "kind": kind,
    }
    revision = f"seed {seed}, {FILE.name} {file_hash(FILE)[:16]}"
    text = KINDS[kind].format(**country)
    return Prompt("knowledge", text, answer, "online_il.tasks.knowledge", revision)
