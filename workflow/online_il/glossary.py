"""What each table and column of a study's database means, written into it (`COMMENT ON`).

What the files' own records say of a column is taken from them; here stands the rest. A table is
described by the first sentence of its file in `workflow/sql`.
"""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import duckdb
from pydantic import BaseModel

from online_il.records import EvaluationRecord, Passages, RunRecord, Samples, Training

INTERVALS = (
    "How sure is each point of a curve? One row a point of `curves`, over seeds and prompts."
)

EVERYWHERE = {
    "task": "Name of the task.",
    "run": "Name of the run, or of the base or mixture that is evaluated like one.",
    "method": "How it was made: grpo, sft, distill; pretrain or finetune of a base, mixture.",
    "expert": "Who is imitated: a run or an expert of the config; null without one.",
    "start": "What training began from: base, another base's name, or <run>@<step>.",
    "seed": "Seed of the run; each seed of a task is a block of the study.",
    "step": "Step of the method at the checkpoint; 0 is what training starts from.",
    "benchmark": "What is asked: id, ood, forgetting, or another of online_il/benchmarks.py.",
    "sampling": "policy, or paper (its validation sampling).",
    "prompt_id": "Name of the prompt, unique within the task.",
    "updates": "Optimizer updates since the base.",
    "samples": "Responses consumed since the base.",
    "tokens": "Response tokens trained on since the base.",
    "device_seconds": "Time in training since the base, of all devices, seconds.",
    "n_prompts": "Number of prompts.",
    "samples_per_prompt": "Responses to each prompt.",
    "accuracy": "Share of responses that are right.",
    "settings": "Settings of the method, JSON.",
    "code_hash": "Hash of the code that made it (online_il/provenance.py).",
    "versions": "Versions of this project and of the libraries, JSON.",
    "data_revision": "Which version of the data the prompts are.",
    "prompts_hash": "SHA-256 of the prompt table.",
    "sampling_settings": "Temperature, top-p, top-k and longest length, JSON.",
    "learning_rate": "Learning rate of the update.",
}
"""By column, in whatever table it is."""

OF_TABLE = {
    "evaluations": {
        "accuracy": "Share of responses that are right; null where text is read, not answered.",
        "start": "What training began from; null for what starts from no policy of the study.",
        "file": "Path of the evaluation under the results folder, without extension.",
    },
    "samples": {
        "finish_reason": "stop, length where it was cut off, or loglikelihood of a choice."
    },
    "passages": {"n_tokens": "Number of its tokens.", "n_bytes": "Its length in UTF-8, bytes."},
    "prompt_accuracy": {"responses": "Number of responses to the prompt."},
    "runs": {
        "folder": "Folder of the run under the results folder.",
        "checkpoints": "The checkpoints that are kept, what each took, and its weights' SHA-256.",
        "initial_weights_hash": "SHA-256 of the weights that it started from; null for a base.",
        "expert_hash": "SHA-256 of the demonstrations, or of the expert's weights.",
    },
    "training": {"step": "Step of the method that the update belongs to."},
    "curves": {
        "start": "What training began from; null for what starts from no policy of the study.",
        "seeds": "Number of seeds that the point is a mean of.",
        "accuracy": "Mean accuracy over seeds.",
        "accuracy_min": "Accuracy of the lowest seed.",
        "accuracy_max": "Accuracy of the highest seed.",
        "updates": "Optimizer updates since the base, mean over seeds.",
        "samples": "Responses consumed since the base, mean over seeds.",
        "tokens": "Response tokens trained on since the base, mean over seeds.",
        "device_seconds": "Time in training since the base, seconds, mean over seeds.",
        "perplexity": "e to the mean nats per token.",
    },
    "intervals": {
        "stderr": "Standard error of the mean accuracy.",
        "low": "Lower end of the point's own 95 % interval.",
        "high": "Upper end of the point's own 95 % interval.",
        "band_low": "Lower end of the 95 % band of the whole curve.",
        "band_high": "Upper end of the 95 % band of the whole curve.",
    },
    "arms": {
        "divergence": "What is minimised: reverse or forward KL; null of other methods.",
        "prefixes": "Whose responses it learns on: its own or the expert's.",
        "level": "Whether the divergence is one of tokens or of whole responses.",
        "filter": "Which demonstrations it learns from: all, or those that are correct.",
        "demonstrations": "Number of demonstrations; null where the method has none.",
    },
    "mixtures": {
        "mixture": "Name of the mixture.",
        "learnable": "The part that a student can represent; null without one.",
        "coverage": "Coverage coefficient C: one over the learnable part's weight.",
    },
    "claims": {
        "id": "Name of the claim, after the task's name if it has one.",
        "title": "The claim in words.",
        "family": "Claims whose p are corrected together, within a task.",
        "source": "Where the paper says so.",
        "kind": "How it is judged, as in config/claims.yaml.",
        "runs": "The runs that it is about.",
        "statistic": "What is measured, in words.",
        "unit": "Unit of the effect: accuracy, factor, and others.",
        "margin": "The smallest effect that would matter, in that unit.",
        "holds": "Where the claim holds: within, above or below the margin; all: of other claims.",
        "verdict": "supported, contradicted, undecided or not run.",
        "effect": "The effect that was measured.",
        "low": "Lower end of its 95 % interval; of a curve for all its points.",
        "high": "Upper end of the same.",
        "p": "Two-sided, of the nearest end of the margin, times the planned looks.",
        "p_holm": "The same, corrected within the family.",
        "detectable": "Distance from the margin that 80 % of such studies would see, corrected.",
        "decided_at": "Blocks at the look that decided it; null without a plan for looks.",
        "n_seeds": "Number of seeds that it is judged on.",
        "note": "Why it was not run, or what limits it.",
    },
}
"""By table, what a column means there."""
OF_TABLE["final"] = OF_TABLE["curves"]
RECORDS: dict[str, type[BaseModel]] = {
    "evaluations": EvaluationRecord,
    "curves": EvaluationRecord,
    "final": EvaluationRecord,
    "runs": RunRecord,
}
TABLES = {"samples": Samples, "passages": Passages, "training": Training}


def comment(connection: duckdb.DuckDBPyConnection, sql: Path) -> None:
    """Describe every table, view and column of a database; `sql` has the files that made them."""
    kinds = dict(
        connection.execute(
            "SELECT table_name, table_type FROM information_schema.tables"
        ).fetchall()
    )
    connection.begin()  # All at once: each alone would wait for the disk.
    for table, kind in kinds.items():
        what = "VIEW" if kind == "VIEW" else "TABLE"
        _say(connection, f"{what} {table}", _head(sql, table))
    columns = "SELECT table_name, column_name FROM information_schema.columns"
    for table, column in connection.execute(columns).fetchall():
        if words := next(_meanings(table, column), ""):
            _say(connection, f'COLUMN {table}."{column}"', words)
    connection.commit()


def _say(connection: duckdb.DuckDBPyConnection, of: str, words: str) -> None:
    quoted = words.replace("'", "''")
    connection.execute(f"COMMENT ON {of} IS '{quoted}'")


def _head(sql: Path, table: str) -> str:
    """Read what the file that makes a table says of it first."""
    if table == "intervals":
        return INTERVALS
    folder = sql / "claims" if table == "claims" else sql
    lines = (folder / f"{table}.sql").read_text(encoding="utf-8").splitlines()
    head = " ".join(line.removeprefix("-- ") for line in takewhile(_is_comment, lines))
    return head.partition(". ")[0].rstrip(".") + "."


def _is_comment(line: str) -> bool:
    return line.startswith("--")


def _meanings(table: str, column: str) -> Iterator[str]:
    """Yield what a column means, the nearest first."""
    if words := OF_TABLE.get(table, {}).get(column):
        yield words
    if (record := RECORDS.get(table)) and (field := record.model_fields.get(column)):
        yield from filter(None, [field.description])
    if schema := TABLES.get(table):
        found = schema.to_schema().columns.get(column)
        yield from filter(None, [found and found.description])
    if words := EVERYWHERE.get(column):
        yield words
    # Measures that several tables share are described where they are made.
    if field := EvaluationRecord.model_fields.get(column):
        yield from filter(None, [field.description])
