"""Claims about pairs of models: how far apart their responses are, from Table 1's numbers."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from online_il.claims.drafts import SUPPORTED, Draft, draft_of, measure, region
from online_il.claims.measured import Measurements
from online_il.config.claims import DiscrepancyClaim
from online_il.discrepancy.tables import DiscrepancyTable
from online_il.layout import pair_of
from online_il.records import provenance, read_table
from online_il.statistics.effects import Effect, Part

CONSTANT = 0.01
"""A measure with fewer responses than this share off the common value is constant: it cannot be
larger than that, so that its excess is the gap of accuracies once more."""


def pair_drafts(
    claim: DiscrepancyClaim, measurements: Measurements, tables: Sequence[Path], looks: int = 1
) -> Iterator[Draft]:
    """Measure the claim's pair, or each whose expert is no run of its task and no mixture.

    `looks` at the study are planned.
    """
    none = True
    for path in tables:
        task, expert, student = pair_of(path)
        if claim.pair is not None:
            if claim.pair != [expert, student]:
                continue
        elif task in measurements.tasks and expert in measurements.names(task):
            continue
        rows = read_table(path, DiscrepancyTable)
        facts = provenance(path)
        # A measure that ends in a blank is one a keyword.
        many = claim.measure.endswith(" ")
        names = rows["measure"]
        is_claimed = names.str.startswith(claim.measure) if many else names == claim.measure
        for _, row in rows[is_claimed].iterrows():
            none = False
            yield _measure_draft(claim, task, (expert, student), row, facts, looks)
    if none:
        draft = draft_of(claim, None)
        draft.fields |= {
            "statistic": f"{claim.measure.strip()}, less the gap of accuracies",
            "unit": "share",
        }
        compared = "{} is not" if claim.pair else "No unrealizable expert is"
        expert, student = claim.pair or ("", "a student")
        draft.notes = [f"{compared.format(expert)} compared with {student} in this study."]
        yield draft


def _measure_draft(
    claim: DiscrepancyClaim,
    task: str,
    pair: tuple[str, str],
    row: pd.Series,
    facts: dict[str, object],
    looks: int,
) -> Draft:
    draft = draft_of(claim, task)
    draft.looks = looks
    prompts = int(str(facts["n_prompts"]))
    draft.fields |= {
        "runs": list(pair),
        "statistic": f"{row['measure']}, less the absolute gap of accuracies",
        "unit": "share",
        "n_prompts": prompts,
    }
    word = row["measure"].removeprefix(claim.measure)
    # Of a claim about several pairs each is a row of its own, and says which; no name has a slash.
    named = [] if claim.pair else list(pair)
    draft.fields["id"] += "".join(f"-{part}" for part in ("/".join(named), word) if part)
    if words := ": ".join(filter(None, (" / ".join(named), word))):
        draft.fields["title"] += f" ({words})"
    draft.number = *pair, row["measure"]
    if row["off_common"] < CONSTANT:
        draft.notes.append("Nearly all responses of both are alike in it: nothing to compare.")
        return draft
    seeds = int(str(facts["n_seeds"]))
    parts = [Part(float(row["excess_stderr"]) ** 2, prompts - 1)]
    if seeds:
        draft.fields["n_seeds"] = seeds
        parts.append(Part(float(row["excess_stderr_seeds"]) ** 2, seeds - 1))
    else:
        draft.notes.append("The interval covers prompts, not seeds.")
    effect = Effect(float(row["excess"]), tuple(parts), seeds, prompts)
    measure(draft, effect, region("above", claim.margin), ratio=False)
    if not row["above_noise"]:
        draft.barred.add(SUPPORTED)
        draft.notes.append("The measure is no larger than noise alone could make it.")
    return draft
