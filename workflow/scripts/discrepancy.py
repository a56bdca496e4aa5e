"""How far apart are two models' responses, and how much does it cost (Figure 3, Table 1)?

    discrepancy.py --expert A.jsonl --student B.jsonl --keyword wait --keyword maybe --out TABLE

Files are samples tables (Parquet) or JSON Lines with the keys prompt_id, text, and correct, or an
answer and a reference to grade with math-verify; --key names yours. A JSON array, packed files and
these are read, too:

- lm-evaluation-harness's samples_*.jsonl, graded by its metric. Of its filters the first is read,
  or the one of --key filter=NAME; --key correct=NAME chooses among several metrics.
- OpenAI's and vLLM's batch output, where each line was given a grade, or a reference that is looked
  for in the response.

Lengths are words, or tokens with --tokenizer, and so is --bin-width. Prompts weigh equally whatever
their number of responses.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import Field
from rich.console import Console
from rich.table import Table as Shown
from rich.text import Text

from online_il.discrepancy import measures
from online_il.discrepancy.bins import crowded, largest_share, usual_width
from online_il.discrepancy.reading import Responses, common_prompts, read
from online_il.discrepancy.tables import COLUMNS, DiscrepancyTable, cells, note, rows_of
from online_il.errors import ParameterError
from online_il.files import write_table
from online_il.program.cli import ProgramOptions, log, main
from online_il.provenance import file_hash, versions
from online_il.records import provenance, read_table


class Options(ProgramOptions):
    expert: list[Path] = Field(min_length=1, description="responses of the expert")
    expert_name: str = Field("expert", description="what the table calls it")
    student: list[Path] = Field(min_length=1, description="responses of the student")
    student_name: str = Field("student", description="what the table calls it")
    tokenizer: str | None = Field(
        None, description="folder or hub name; whitespace words when left out"
    )
    bin_width: int | None = Field(
        None, description="width of a bin of length; from the data when left out"
    )
    keyword: list[str] = Field([], description="word, words or symbol to count")
    key: list[str] = Field([], description="your name of it, KEY=NAME")
    intersect: bool = Field(False, description="go on with common prompts")
    keep_empty: bool = Field(False, description="count empty responses")
    resamples: int = Field(10_000, description="of each kind")
    seed: int = Field(0, description="seed of the resamples")
    code: str | None = Field(None, description="hash of the code, for provenance")
    out: Path = Field(description="table to write, Parquet")
    figure: Path | None = Field(None, description="figure to draw: .svg, .vl.json and .html")
    lines: bool = Field(False, alias="json", description="print a JSON object a measure")


def check(options: Options) -> None:
    """Check the parameters. Raises `ParameterError` for a parameter out of its range."""
    if options.bin_width is not None and options.bin_width < 1:
        raise ParameterError(f"--bin-width {options.bin_width}: must be at least 1")
    if options.resamples < 100:
        raise ParameterError(f"--resamples {options.resamples}: must be at least 100")
    for name in (word for word in options.keyword if not word.strip()):
        raise ParameterError(f"--keyword {name!r}: must be a word")
    if len(options.keyword) > 16:
        raise ParameterError(f"--keyword: {len(options.keyword)} given; at most 16")


def mapping(pairs: list[str]) -> dict[str, str]:
    """Read `text=response` and the like as a mapping."""
    for pair in pairs:
        if not all(pair.partition("=")):
            raise ParameterError(f"--key {pair}: write KEY=NAME, such as text=response")
    return {key: name for key, _, name in (pair.partition("=") for pair in pairs)}


def run(options: Options) -> None:
    check(options)
    names = mapping(options.key)
    both: list[Responses] = [
        read(
            paths,
            keywords=options.keyword,
            tokenizer=options.tokenizer,
            mapping=names,
            keep_empty=options.keep_empty,
        )
        for paths in (options.expert, options.student)
    ]
    if options.intersect:
        common = common_prompts(*both, intersect=True)
        both = [one.to(common) for one in both]
    length_N = np.concatenate([one.length_N for one in both])
    usual = usual_width(length_N)
    width = options.bin_width or usual
    found = measures.compare(
        *both,
        keywords=options.keyword,
        bin_width=width,
        resamples=options.resamples,
        seed=options.seed,
    )
    rows = rows_of(found.measures, options.expert_name, options.student_name)
    unit = "words" if options.tokenizer is None else f"tokens of {options.tokenizer}"
    facts = {
        "length_unit": unit,
        "bin_width": width,
        "usual_width": usual,
        "largest_bin": largest_share(length_N, width),
        "n_prompts": found.n_prompts,
        "n_expert": found.n_expert,
        "n_student": found.n_student,
        "n_seeds": found.n_seeds,
        "truncated_expert": both[0].truncated,
        "truncated_student": both[1].truncated,
        "weights": "all prompts weigh equally",
        "resamples": options.resamples,
        "seed": options.seed,
        "filter": found.filter,
        "bins": {key: value.tolist() for key, value in found.bins._asdict().items()},
        "presence": [one._asdict() for one in found.presence],
    }
    files = {str(path): file_hash(path) for path in sorted({*options.expert, *options.student})}
    where = {"code_hash": options.code, "versions": versions(), "files": files} | facts
    write_table(rows, DiscrepancyTable, options.out, where)
    if options.figure:
        from online_il.charts.discrepancy import figure3
        from online_il.charts.style import save

        save(figure3(options.out), options.figure.with_suffix(""), options.code)
    written = read_table(options.out, DiscrepancyTable)
    if options.lines:
        for row in written.to_dict("records"):
            plain = {k: None if pd.isna(v) else v for k, v in row.items()}
            print(json.dumps(plain))
        if warning := crowded(facts):
            log(warning)
    else:
        show(written, provenance(options.out))


def show(rows: pd.DataFrame, facts: dict[str, object]) -> None:
    """Print the table for reading."""
    table = Shown(*COLUMNS, title=Text(f"{rows['expert'][0]} / {rows['student'][0]}"))
    for _, row in rows.iterrows():
        table.add_row(*map(Text, cells(row)))  # A keyword may look like rich's markup.
    console = Console(width=150)
    console.print(table)
    graded = f" Graded under the filter {facts['filter']}." if facts["filter"] else ""
    console.print(note(facts) + graded, highlight=False, markup=False)


if __name__ == "__main__":
    main(run, Options, __doc__)
