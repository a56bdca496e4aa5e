"""Options are said once, in a class: rules write them, programs read them, errors name them."""

import ast
import shlex
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, Json

from online_il.config.sampling import Sampling
from online_il.program.cli import POSITIONAL, ProgramOptions, parser, read_options
from online_il.program.flags import Flags

SCRIPTS = Path(__file__).parents[2] / "workflow" / "scripts"
WORDS = st.text("a -='\"$\\{}é\u2028", min_size=1)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


class Every(ProgramOptions):
    """One option of each kind."""

    name: str = Field(description="a text, 100 % of it")
    count: int = Field(description="a number")
    rate: float = Field(0.5, description="a number with a default")
    place: Path | None = Field(None, description="a path or none")
    whole: bool = Field(False, description="a flag")
    words: list[str] = Field([], description="texts")
    sizes: list[int] = Field(description="numbers")
    means: list[list[float]] = Field(description="vectors")
    sampling: Json[Sampling] = Field(description="settings")
    lines: str | None = Field(None, alias="json", description="under another name")


class Drawn(ProgramOptions):
    figure: Annotated[str, POSITIONAL] = Field(description="first")
    inputs: Annotated[list[Path], POSITIONAL] = Field(description="the others")
    pair: tuple[Path, Path] = Field(description="two")


def read(options: type[ProgramOptions], words: list[str]):
    return read_options(options, parser(options, "a program"), words)


def refused(options: type[ProgramOptions], words: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        read(options, words)
    assert ended.value.code == 2
    return capsys.readouterr().err


@given(
    st.fixed_dictionaries(
        {
            "name": WORDS,
            "count": st.integers(),
            "rate": NUMBERS,
            "place": st.none() | WORDS.map(Path),
            "whole": st.booleans(),
            "words": st.lists(WORDS),
            "sizes": st.lists(st.integers(), min_size=1),
            "means": st.lists(st.lists(NUMBERS, min_size=1), min_size=1),
        }
    ),
    st.floats(0.1, 2),
)
@pytest.mark.slow
def test_what_a_rule_writes_is_what_its_program_reads(values, temperature):
    sampling = Sampling(temperature=temperature, max_new_tokens=4)
    text = str(Flags.of(values | {"sampling": sampling}))
    found = read(Every, shlex.split(text))
    assert found.model_dump(exclude={"sampling", "lines"}) == values
    assert found.sampling == sampling


GOOD = ["--name=a", "--count", "1", "--sizes", "1", "2", "--means", "1", "--sampling"]
SETTINGS = '{"max_new_tokens": 4, "temperature": 0.7}'


def test_a_list_may_be_repeated_and_an_alias_names_the_flag():
    words = [*GOOD, SETTINGS, "--sizes", "3", "--means", "2", "-3", "--words=-x", "--json", "y"]
    found = read(Every, words)
    assert (found.sizes, found.means) == ([1, 2, 3], [[1.0], [2.0, -3.0]])
    assert (found.words, found.lines, found.rate, found.whole) == (["-x"], "y", 0.5, False)


def test_positional_options_and_tuples():
    found = read(Drawn, ["figure1", "a", "b", "--pair", "c", "d"])
    assert found.inputs == [Path("a"), Path("b")] and found.pair == (Path("c"), Path("d"))
    assert "100 % of it" in parser(Every, "a program").format_help()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([*GOOD[:-1]], "error: the following arguments are required: --sampling; see --help\n"),
        (["--count", "x", *GOOD[:1], *GOOD[3:], SETTINGS], "error: --count x: Input should be a"),
        (
            [*GOOD, '{"top_p": 2}'],
            "error: --sampling, top_p: Input should be less than or equal to 1; --sampling, max",
        ),
        ([*GOOD, '{"secret'], "error: --sampling: Invalid JSON"),
        ([*GOOD, SETTINGS, "--nothing", "1"], "error: unrecognized arguments: --nothing 1; see"),
    ],
)
def test_a_wrong_option_is_named_in_one_line_without_settings(words, said, capsys):
    line = refused(Every, words, capsys)
    assert line.startswith(said) and line.endswith("see --help\n") and line.count("\n") == 1
    assert "secret" not in line


def test_every_program_has_one_class_of_options_with_a_help_for_each():
    # `watch` passes on a command that is not its own.
    scripts = [path for path in SCRIPTS.glob("*.py") if path.stem != "watch"]
    assert len(scripts) > 25
    for path in scripts:
        tree = ast.parse(path.read_text())
        (options,) = [n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Options"]
        for field in (n for n in options.body if isinstance(n, ast.AnnAssign)):
            assert "description=" in ast.unparse(field), (path.name, ast.unparse(field))
        assert "argparse" not in path.read_text(), path.name
