"""The tokens of demonstrations in a file that is written once and that all processes map.

A list of Python's numbers takes 40 to 125 bytes a token, in each of the processes that train
together; a mapped file takes four, twice, of memory that all share and the system can do without.
"""

import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pyarrow as arrow
import pyarrow.compute as compute
from datasets import Dataset
from datasets.table import InMemoryTable

from online_il.files import flush, made_aside
from online_il.layout import TOKENS
from online_il.training.common import Demonstration, main_process
from online_il.training.resume import Saving

IDS = arrow.list_(arrow.int32())
SCHEMA = arrow.schema({"input_ids": IDS, "labels": IDS, "trained": arrow.int32()})
ROWS, ABOUT = "rows.arrow", "about.json"
ROWS_AT_ONCE = 256
WAIT_SECONDS = 0.2
"""Between two looks of a process at whether the first one has written the file."""

LeftOut = dict[str, int]
"""How many rows are left out, by reason."""


@dataclass(frozen=True)
class Tokens:
    """Rows with `input_ids`, `labels` and `trained`, the number of labels that count."""

    rows: Dataset
    left_out: LeftOut = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> list[int]:
        """Tokens of each row."""
        return compute.list_value_length(self.rows.data.column("input_ids")).to_pylist()  # type: ignore[no-any-return]

    @property
    def trained(self) -> list[int]:
        """Tokens of each row that are learned."""
        return self.rows.data.column("trained").to_pylist()  # type: ignore[no-any-return]


def batch_of(demonstrations: Sequence[Demonstration]) -> arrow.RecordBatch:
    """Give the rows of some demonstrations."""
    labels = [one.labels() for one in demonstrations]
    columns = [
        [[*one.prompt, *one.response] for one in demonstrations],
        labels,
        [len(row) - row.count(-100) for row in labels],
    ]
    arrays = [arrow.array(c, type=t) for c, t in zip(columns, SCHEMA.types, strict=True)]
    return arrow.record_batch(arrays, schema=SCHEMA)


def in_memory(demonstrations: Sequence[Demonstration]) -> Tokens:
    """Hold the tokens in memory: for rows that are made here and few."""
    return Tokens(Dataset(InMemoryTable.from_batches([batch_of(demonstrations)])))


def on_disk(saving: Saving, make: Callable[[LeftOut], Iterable[Demonstration]]) -> Tokens:
    """Write the tokens in a run's state, once a run, and map them; after a stop they are there.

    `make` gives the rows, one after the other, and counts in its argument what it leaves out. It is
    called by the first process alone; the others wait for the file.
    """
    folder = saving.folder / TOKENS
    if main_process() and _about(folder).get("identity") != saving.identity:
        with made_aside(folder) as aside:
            left_out: LeftOut = {}
            rows = iter(make(left_out))
            with arrow.ipc.new_stream(aside / ROWS, SCHEMA) as writer:
                while some := list(islice(rows, ROWS_AT_ONCE)):
                    writer.write_batch(batch_of(some))
            written = {"identity": saving.identity, "left_out": left_out}
            (aside / ABOUT).write_text(json.dumps(written))
            for path in [*aside.iterdir(), aside]:
                flush(path)
    while (about := _about(folder)).get("identity") != saving.identity:
        time.sleep(WAIT_SECONDS)
    return Tokens(Dataset.from_file(str(folder / ROWS)), about["left_out"])  # type: ignore[arg-type]


def _about(folder: Path) -> dict[str, object]:
    try:
        return json.loads((folder / ABOUT).read_text())  # type: ignore[no-any-return]
    except (OSError, ValueError):
        return {}
