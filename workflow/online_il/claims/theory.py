"""The numbers of the theory's experiments that its claims are about."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from online_il.layout import theory_panel, theory_table
from online_il.records import read_table
from online_il.theory.tables import (
    GaussianTable,
    HorizonTable,
    Theorem1Table,
    Theorem2Table,
    Theorem5Table,
)

LEAST = 1e-6
"""Risks below this are not fitted, as in the figure."""


class TheoryNumber(NamedTuple):
    """A number with its Monte Carlo standard error (0: exact), and what it is."""

    value: float
    stderr: float
    words: str
    unit: str


def gaussian_value(tables: Path, panel: str) -> TheoryNumber:
    """Read V of the reverse-KL projection."""
    rows = read_table(theory_panel(tables, panel), GaussianTable)
    value = rows.loc[rows["divergence"] == "reverse_kl", "value"].iloc[0]
    return TheoryNumber(float(value), 0.0, "reward of the reverse-KL projection", "reward")


def gaussian_excess(tables: Path, panel: str) -> TheoryNumber:
    """Compute TV of the expert and its reverse-KL projection, less the gap of rewards."""
    rows = read_table(theory_panel(tables, panel), GaussianTable)
    row = rows[rows["divergence"] == "reverse_kl"].iloc[0]
    excess = row["total_variation"] - abs(row["value_expert"] - row["value"])
    words = "TV of the expert and the reverse-KL projection, less the gap of rewards"
    return TheoryNumber(float(excess), 0.0, words, "probability")


def rate_slope(tables: Path) -> TheoryNumber:
    """Measure the largest distance from 1 of the offline learner's slope of log risk."""
    rows = _offline(tables)
    rows = rows[rows["risk_exact"] >= LEAST]
    slopes = [
        float(np.polyfit(np.log(part["rate"]), np.log(part["risk_exact"]), 1)[0])
        for _, part in rows.groupby("sweep")
        if part["rate"].nunique() > 1
    ]
    worst = max((abs(slope - 1) for slope in slopes), default=math.nan)
    words = f"largest distance of the log-log slope from 1 over {len(slopes)} sweeps"
    return TheoryNumber(worst, 0.0, words, "slope")


def rate_ratio(tables: Path) -> TheoryNumber:
    """Find the smallest ratio of the best offline learner's exact risk to the rate."""
    ratio = float(_offline(tables)["ratio"].min())
    return TheoryNumber(ratio, 0.0, "smallest exact risk over C log K / N, all sweeps", "ratio")


def online_over_offline(tables: Path) -> TheoryNumber:
    """Divide the risk of the learner that queries the expert by the offline one's."""
    rows = read_table(theory_table(tables, "theorem1"), Theorem1Table)
    risk = rows[rows["sweep"] == "centre"].set_index("learner")["risk_exact"].to_dict()
    words = "exact risk of the querying learner over the offline one's, at the centre"
    return TheoryNumber(float(risk["on_policy"] / risk["offline"]), 0.0, words, "ratio")


def alignment_violation(tables: Path) -> TheoryNumber:
    """Measure by how much the worst policy near the optimum exceeds Theorem 2's bound, at most."""
    rows = read_table(theory_table(tables, "theorem2"), Theorem2Table)
    rows = rows[(rows["alpha"] > 0) & np.isfinite(rows["bound"])]
    worst = float((rows["worst_risk"] - rows["bound"]).max())
    words = "largest risk less the bound, all instances, alphas and epsilons"
    return TheoryNumber(worst, 0.0, words, "risk")


def pessimism_violation(tables: Path) -> TheoryNumber:
    """Measure by how much the learner with the theory's beta exceeds Theorem 5's bound, at most."""
    rows = read_table(theory_table(tables, "theorem5"), Theorem5Table)
    rows = rows[rows["is_theory_beta"]]
    over = (rows["risk"] - rows["bound"]).to_numpy(float)
    worst = int(over.argmax())
    words = "largest risk less the bound over N, the theory's beta"
    return TheoryNumber(float(over[worst]), float(rows["risk_stderr"].iloc[worst]), words, "risk")


def pessimism_gain(tables: Path) -> TheoryNumber:
    """Subtract the pessimistic learner's risk from cloning's, at the most samples."""
    rows = read_table(theory_table(tables, "theorem5"), Theorem5Table)
    rows = rows[rows["samples"] == rows["samples"].max()]
    cloning = rows[rows["learner"] == "behaviour_cloning"]
    pessimistic = rows[rows["is_theory_beta"]]
    words = f"cloning's risk less the pessimistic learner's at N = {rows['samples'].iloc[0]:,}"
    return _less(cloning, pessimistic, words)


def horizon_one_gain(tables: Path) -> TheoryNumber:
    """Subtract reverse KL's risk from cloning's, at horizon 1, misspecified."""
    rows = read_table(theory_table(tables, "horizon"), HorizonTable)
    rows = rows[(rows["case"] == "misspecified") & (rows["horizon"] == 1)]
    cloning, online = (rows[rows["learner"] == n] for n in ("behaviour_cloning", "reverse_kl"))
    return _less(cloning, online, "cloning's risk less that of reverse KL at H = 1")


OF_PANEL = {"gaussian-value": gaussian_value, "gaussian-excess": gaussian_excess}
NUMBERS: Mapping[str, object] = {
    "rate-slope": rate_slope,
    "rate-ratio": rate_ratio,
    "online-over-offline": online_over_offline,
    "alignment-violation": alignment_violation,
    "pessimism-violation": pessimism_violation,
    "pessimism-gain": pessimism_gain,
    "horizon-one-gain": horizon_one_gain,
}


def theory_number(tables: Path, statistic: str, panel: str) -> TheoryNumber:
    """Compute a claim's number from the folder of the theory's tables. Raises `InputError`."""
    if statistic in OF_PANEL:
        return OF_PANEL[statistic](tables, panel)
    found = NUMBERS[statistic]
    assert callable(found)
    return found(tables)  # type: ignore[no-any-return]


def _offline(tables: Path) -> pd.DataFrame:
    """Read the Bayes-optimal offline learner wherever the rate is not at its ceiling."""
    rows = read_table(theory_table(tables, "theorem1"), Theorem1Table)
    return rows[(rows["sweep"] != "centre") & (rows["learner"] == "offline") & (rows["rate"] < 1)]


def _less(one: pd.DataFrame, other: pd.DataFrame, words: str) -> TheoryNumber:
    if one.empty or other.empty:
        return TheoryNumber(math.nan, 0.0, words, "risk")
    gap = float(one["risk"].iloc[0] - other["risk"].iloc[0])
    stderr = math.hypot(one["risk_stderr"].iloc[0], other["risk_stderr"].iloc[0])
    return TheoryNumber(gap, stderr, words, "risk")
