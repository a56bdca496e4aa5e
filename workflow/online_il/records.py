"""The tables and records that pass between the rules.

Each table has one class that documents its columns; it validates strictly just before each write
(`files.write_table`). Every Parquet file carries in its metadata where it comes from.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pandera.pandas as pa
import pyarrow as arrow
import pyarrow.parquet as parquet
from pandera.typing import Series
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from online_il.errors import InputError

PROVENANCE = b"online_il"

Record = TypeVar("Record", bound=BaseModel)


class Table(pa.DataFrameModel):
    """Base of all tables: no column more, none less, none of another type."""

    class Config:
        strict = True
        coerce = False


class Prompts(Table):
    """One row a prompt of a task."""

    prompt_id: Series[str] = pa.Field(unique=True, description="Name, unique within the task.")
    task: Series[str] = pa.Field(description="Name of the task.")
    split: Series[str] = pa.Field(
        str_matches=r"^[a-z0-9][a-z0-9-]*$",
        description="What the prompt is for: training, or the benchmark of this name.",
    )
    text: Series[str] = pa.Field(description="The prompt, or its chat messages as JSON.")
    answer: Series[str] = pa.Field(description="What the grader needs, as JSON.")
    source: Series[str] = pa.Field(description="Where the prompt comes from.")
    revision: Series[str] = pa.Field(description="Which version of the source.")


class Samples(Table):
    """One row a response."""

    prompt_id: Series[str] = pa.Field(description="The prompt that is answered.")
    sample_index: Series[int] = pa.Field(ge=0, description="Number of the response, from 0.")
    policy: Series[str] = pa.Field(description="Who answers: run or expert, and step.")
    seed: Series[int] = pa.Field(description="Seed of the run.")
    text: Series[str] = pa.Field(description="The response, without the prompt.")
    n_tokens: Series[int] = pa.Field(ge=0, description="Length, tokens.")
    finish_reason: Series[str] = pa.Field(isin=["stop", "length", "loglikelihood"])
    reward: Series[float] = pa.Field(
        ge=0, le=1, description="1, 0 or, in Countdown, 0.1 (paper, D.1)."
    )
    reward_tinyzero: Series[float] = pa.Field(
        ge=0, le=1, nullable=True, description="The same by TinyZero's rules (decision 7)."
    )
    correct_strict: Series[float] = pa.Field(
        ge=0,
        le=1,
        nullable=True,
        description="GSM8K: whether the number after #### is right; empty elsewhere.",
    )
    correct: Series[bool] = pa.Field(description="Whether the reward is 1.")
    format_ok: Series[bool] = pa.Field(description="Whether there is an answer as it was asked.")
    share_learnable: Series[float] | None = pa.Field(
        ge=0,
        le=1,
        description="Of responses of, or learned from, a mixture: the posterior share of its "
        "learnable part, 0 where it has none.",
    )
    direct: Series[float] | None = pa.Field(
        ge=0,
        le=1,
        description="Of the same: the posterior share of the solver, which answers at once.",
    )
    token_ids: Series[object] | None = pa.Field(
        nullable=True,
        description="The tokens that were sampled, the end among them; empty for what came as "
        "text, and no column in tables of before November 2026.",
    )

    @pa.check("token_ids", element_wise=True)  # type: ignore[untyped-decorator]
    def _whole_numbers(cls, ids: Any) -> bool:
        return not len(ids) or np.asarray(ids).dtype.kind in "iu"


class Passages(Table):
    """One row a passage of text that a policy has read."""

    prompt_id: Series[str] = pa.Field(unique=True, description="The passage.")
    policy: Series[str] = pa.Field(description="Who reads: run or expert, and step.")
    seed: Series[int] = pa.Field(description="Seed of the run.")
    n_tokens: Series[int] = pa.Field(gt=0, description="Its tokens, those before it left out.")
    n_bytes: Series[int] = pa.Field(gt=0, description="Its length in UTF-8.")
    nats: Series[float] = pa.Field(
        ge=0, description="Minus the logarithm of its probability, given the text before it."
    )


class Training(Table):
    """One row an optimizer update; the counts are totals since the base."""

    update: Series[int] = pa.Field(ge=1, unique=True, description="Optimizer update, from 1.")
    step: Series[int] = pa.Field(ge=1, description="Step of the method.")
    samples: Series[int] = pa.Field(ge=0, description="Responses consumed.")
    tokens: Series[int] = pa.Field(ge=0, description="Response tokens trained on.")
    device_seconds: Series[float] = pa.Field(ge=0, description="Time in training, all devices.")
    loss: Series[float] = pa.Field(description="Loss as the trainer logs it.")
    learning_rate: Series[float] = pa.Field(ge=0)
    grad_norm: Series[float] = pa.Field(nullable=True, description="Before clipping.")
    entropy: Series[float] = pa.Field(nullable=True, description="Mean a token, nats.")
    reward: Series[float] = pa.Field(nullable=True, description="Mean reward of the rollouts.")
    kl: Series[float] = pa.Field(nullable=True, description="Mean KL to the base, nats a token.")
    mean_length: Series[float] = pa.Field(nullable=True, description="Mean response, tokens.")
    truncation_rate: Series[float] = pa.Field(nullable=True, description="Responses cut off.")
    reward_spread: Series[float] | None = pa.Field(
        nullable=True,
        description="GRPO: share of an update's responses whose reward is not their group's mean; "
        "an update of 0 changes nothing. No column in tables of before November 2026.",
    )
    clip_ratio: Series[float] | None = pa.Field(
        nullable=True, description="GRPO: share of tokens of which the ratio is clipped."
    )
    sampler_gap: Series[float] | None = pa.Field(
        nullable=True,
        description="GRPO with vLLM: share of tokens whose probability is further apart in it and "
        "in the trainer than the clip ratio, with the same weights (rounding).",
    )


class EvaluationRecord(BaseModel):
    """The summary of one evaluation: one checkpoint, one benchmark, one sampling."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    benchmark: str
    run: str
    method: str
    expert: str | None
    seed: int
    step: int = Field(description="Step of the method; 0 is the base.")
    updates: int = Field(description="Optimizer updates since the base.")
    samples: int = Field(description="Responses consumed since the base.")
    tokens: int = Field(description="Response tokens trained on since the base.")
    device_seconds: float = Field(description="Time in training since the base, all devices.")
    sampling: str = Field(description="policy, or paper (its validation sampling).")
    sampling_settings: dict[str, Any]
    n_prompts: int
    samples_per_prompt: int
    accuracy: float | None = Field(description="None where text is read, and nothing answered.")
    accuracy_stderr: float | None = Field(description="Standard error, clustered by prompt.")
    accuracy_strict: float | None = Field(None, description="GSM8K: the number after ####.")
    format_rate: float | None = Field(description="Share of responses with an answer.")
    truncation_rate: float | None = Field(description="Share of responses cut off.")
    mean_length: float | None = Field(description="Mean response, tokens.")
    check_rate: float | None = Field(description="Attempts with an honest check (of searchers).")
    attempts: float | None = Field(description="Mean attempts a response (of searchers).")
    direct: float | None = Field(
        None, description="Mean share of the solver in the responses (`Samples.direct`)."
    )
    nats_per_token: float | None = Field(
        None, description="Of a text that is read: minus the mean log-probability of its tokens."
    )
    nats_per_token_stderr: float | None = Field(
        None, description="Standard error, clustered by passage."
    )
    perplexity: float | None = Field(None, description="e to the nats per token.")
    bits_per_byte: float | None = Field(
        None, description="The same in bits for each byte, which knows no tokens."
    )
    start: str | None = Field(
        None, description="What training started from; `base` where this is left out."
    )
    weights_hash: str = Field(description="SHA-256 of the weights.")
    prompts_hash: str = Field(description="SHA-256 of the prompt table.")
    data_revision: str
    code_hash: str
    versions: dict[str, str]


class Checkpoint(BaseModel):
    """One kept checkpoint of a run and what it took to reach it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step: int
    updates: int
    samples: int
    tokens: int
    device_seconds: float
    weights_hash: str


class RunRecord(BaseModel):
    """The manifest of one trained policy, beside its checkpoints."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    run: str
    method: str
    expert: str | None
    start: str | None = Field(None, description="What training started from: base or <run>@<step>.")
    seed: int
    settings: dict[str, Any]
    checkpoints: list[Checkpoint]
    initial_weights_hash: str | None = Field(description="The base's; none for a base.")
    expert_hash: str | None = Field(description="Of the demonstrations or the expert's weights.")
    prompts_hash: str
    code_hash: str
    versions: dict[str, str]


def read_record(path: Path, kind: type[Record]) -> Record:
    """Read a record of `write_json`. Raises `InputError` when it is damaged or another one."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        reason = "; ".join(
            f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors()[:3]
        )
        raise InputError(
            f"{path}: not a whole {kind.__name__} record ({reason}); "
            f"delete {path.parent} and start again: Snakemake makes it anew"
        ) from None


def read_table(path: Path, table: type[Table]) -> pd.DataFrame:
    """Read a table of `write_table`. Raises `InputError` when it is damaged or another one."""
    try:
        return table.validate(parquet.read_table(path).to_pandas(), lazy=True)
    except (arrow.ArrowException, OSError, pa.errors.SchemaErrors) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(
            f"{path}: not a whole {table.__name__} table ({reason}); "
            "delete it and start again: Snakemake makes it anew"
        ) from None


def read_prompts(path: Path, splits: Sequence[str]) -> pd.DataFrame:
    """Read the prompts of some splits. Raises `InputError` for a split without any."""
    table = read_table(path, Prompts)
    found = sorted(set(table["split"]))
    if missing := [split for split in splits if split not in found]:
        raise InputError(
            f"{path}: no prompt of split {', '.join(missing)}; there are {', '.join(found)}"
        )
    return table[table["split"].isin(splits)].reset_index(drop=True)


def provenance(path: Path) -> dict[str, Any]:
    """Read the provenance that a Parquet table carries in its metadata."""
    metadata = parquet.read_schema(path).metadata or {}
    return json.loads(metadata[PROVENANCE])
