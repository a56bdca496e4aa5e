"""The learning rate of each update, by the schedule of a method, as its program trains."""

from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from test_full_disk import METHODS, inputs  # noqa: F401
from training_runs import program
from warm import Program

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("method", METHODS)
def test_a_linear_schedule_falls_to_0_at_the_end(method, inputs, tmp_path):  # noqa: F811
    rates = learning_rates(method, inputs, tmp_path, {"learning_rate_schedule": "linear"})
    falls = [0.03 * (1 - done / len(rates)) for done in range(len(rates))]
    assert len(rates) > 1 and rates == pytest.approx(falls)


def test_without_one_it_is_constant(inputs, tmp_path):  # noqa: F811
    assert set(learning_rates("sft", inputs, tmp_path, {})) == {0.03}


def learning_rates(method: str, inputs: Path, folder: Path, own: dict) -> list[float]:  # noqa: F811
    command = program(
        method,
        inputs,
        folder / "run",
        METHODS[method] | own,
        task="t",
        expert=inputs / "base",
        learning_rate=0.03,
        save_minutes=10,
    )
    (folder / "run").mkdir()
    with (folder / "log").open("w") as log:
        status = Program(command, stdout=log, stderr=log).wait(timeout=300)
    assert status == 0, (folder / "log").read_text()[-3000:]
    (table,) = (folder / "run").rglob("*.parquet")
    return parquet.read_table(table)["learning_rate"].to_pylist()
