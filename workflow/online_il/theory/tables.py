"""The tables of the theory's programs."""

import json
from pathlib import Path
from typing import Any

import pandera.pandas as pa
from pandera.typing import Series
from pydantic import Field

from online_il.files import write_table
from online_il.program.cli import ProgramOptions
from online_il.provenance import versions
from online_il.records import Table

MEAN = "The student's mean, its coordinates as JSON."


class GaussianTable(Table):
    """One row a projection of the expert onto the class."""

    divergence: Series[str] = pa.Field(isin=["reverse_kl", "forward_kl"])
    solver: Series[str] = pa.Field(isin=["closed_form", "optimisation"])
    mean: Series[str] = pa.Field(description=MEAN)
    divergence_nats: Series[float] = pa.Field(ge=-1e-9, description="KL that is minimised, nats.")
    value: Series[float] = pa.Field(ge=0, le=1, description="V of the student.")
    value_expert: Series[float] = pa.Field(ge=0, le=1, description="V of the expert.")
    total_variation: Series[float] = pa.Field(ge=0, le=1.0001, description="TV to the expert.")


class Theorem1Table(Table):
    """One row a learner on an instance of Theorem 1."""

    sweep: Series[str] = pa.Field(isin=["centre", "contexts", "coverage", "samples"])
    learner: Series[str]
    contexts: Series[int] = pa.Field(ge=1, description="l; K = 2^l.")
    coverage: Series[float] = pa.Field(ge=1, description="C.")
    samples: Series[int] = pa.Field(ge=1, description="N.")
    zeta: Series[float] = pa.Field(gt=0, le=1, description="Mass of a light context.")
    rate: Series[float] = pa.Field(gt=0, le=1, description="min(1, C log K / N).")
    risk_exact: Series[float] = pa.Field(ge=0, le=1)
    risk: Series[float] = pa.Field(ge=0, le=1, description="Monte Carlo estimate.")
    risk_stderr: Series[float] = pa.Field(ge=0)
    ratio: Series[float] = pa.Field(ge=0, description="Exact risk over rate.")


class Theorem2Table(Table):
    """One row an instance, alpha and epsilon of Theorem 2."""

    instance: Series[str]
    fit: Series[str] = pa.Field(isin=["best", "tenfold"], description="Which alpha.")
    epsilon: Series[float] = pa.Field(ge=0)
    alpha: Series[float] = pa.Field(description="Positive where the assumption can hold.")
    delta: Series[float] = pa.Field(description="delta(epsilon), by enumeration.")
    bound: Series[float] = pa.Field(description="(epsilon + delta) / alpha.")
    worst_risk: Series[float] = pa.Field(ge=0, le=1, description="Over the epsilon-optimal set.")
    policies: Series[int] = pa.Field(ge=1)


class Theorem5Table(Table):
    """One row a learner and number of samples on the second instance of Theorem 5."""

    learner: Series[str] = pa.Field(isin=["pessimistic", "behaviour_cloning"])
    samples: Series[int] = pa.Field(ge=1)
    beta: Series[float] = pa.Field(ge=0, nullable=True, description="None for cloning.")
    is_theory_beta: Series[bool] = pa.Field(description="beta = sqrt(log K / (C_* N)).")
    risk: Series[float] = pa.Field(ge=0, le=1)
    risk_stderr: Series[float] = pa.Field(ge=0)
    bound: Series[float] = pa.Field(ge=0, description="Theorem 5 over alpha, no constant.")


class HorizonTable(Table):
    """One row a learner and horizon in a case."""

    case: Series[str] = pa.Field(isin=["realizable", "misspecified"])
    coverage: Series[float] = pa.Field(ge=1)
    labels: Series[int] = pa.Field(ge=1)
    learner: Series[str]
    horizon: Series[int] = pa.Field(ge=1)
    risk: Series[float] = pa.Field(ge=0, le=1, description="1 - V / H.")
    risk_stderr: Series[float] = pa.Field(ge=0)
    step_error: Series[float] = pa.Field(ge=0, le=1, description="On the path.")


class TheoryOptions(ProgramOptions):
    """Options of every theory program."""

    code: str | None = Field(None, description="hash of the code, for provenance")
    out: Path = Field(description="Parquet table to write")


def finish(
    rows: list[dict[str, Any]], table: type[Table], options: TheoryOptions, headline: Any
) -> None:
    """Write the table with its parameters, then print the headline as the last line, JSON."""
    parameters = options.model_dump(exclude={"code", "out"})
    provenance = {"code_hash": options.code, "versions": versions(), "parameters": parameters}
    write_table(rows, table, options.out, provenance)
    print(json.dumps(headline))
