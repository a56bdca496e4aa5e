"""Sample an expert behind an OpenAI-compatible API: demonstrations, or answers to a benchmark.

As in `sample`, responses are unfiltered (decision 8). Every answer is written to the journal as it
arrives; after a kill, start again with the same arguments: only what is missing is asked. The table
is written once every response is there. The key comes from the environment variable that the
endpoint's `key_variable` names, and is written nowhere.

  ask.py --task aime --run r1 --seed 1 --code - --prompts prompts.parquet --splits id \\
    --endpoint '{"url": "https://api.deepseek.com/v1", "model": "deepseek-reasoner", \\
                 "key_variable": "DEEPSEEK_API_KEY"}' \\
    --sampling '{"temperature": 0.6, "top_p": 0.95, "max_new_tokens": 32768}' \\
    --samples-per-prompt 16 --journal r1.jsonl --progress r1.json --output r1.parquet
"""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import Field, Json, model_validator

from online_il.config.endpoint import Endpoint
from online_il.config.sampling import Sampling
from online_il.files import write_table
from online_il.generation.endpoint import Request, ask, key_of, request, sample_seed, tally
from online_il.generation.journal import Entry, Journal
from online_il.generation.response import Response
from online_il.grading import graded_samples
from online_il.program.cli import RunOptions, log, main
from online_il.provenance import file_hash, versions
from online_il.records import Samples, read_prompts


class Options(RunOptions):
    endpoint: Json[Endpoint] = Field(description="settings of the endpoint, JSON")
    sampling: Json[Sampling] = Field(description="sampling settings, JSON")
    prompts: Path = Field(description="table of prompts")
    splits: str = Field("train", description="which prompts, commas between")
    count: int | None = Field(None, ge=1, description="number of responses, passing the prompts")
    samples_per_prompt: int | None = Field(None, ge=1, description="responses to each prompt")
    journal: Path = Field(description="answers so far; kept")
    output: Path = Field(description="table to write")
    progress: Path = Field(description="progress file")

    @model_validator(mode="after")
    def _has_one_number(self) -> "Options":
        if (self.count is None) == (self.samples_per_prompt is None):
            raise ValueError("one of the arguments --count and --samples-per-prompt is required")
        return self


def keys_of(options: Options, n_prompts: int) -> Iterator[tuple[int, int]]:
    """List (prompt number, sample index) of every response that is wanted."""
    if options.count is not None:
        return ((i % n_prompts, i // n_prompts) for i in range(options.count))
    return ((p, s) for p in range(n_prompts) for s in range(options.samples_per_prompt))


def _response(entry: Entry) -> Response:
    reason = "length" if entry.meaning == "length" else "stop"
    return Response(entry.text or "", entry.output_tokens, reason)


def run(options: Options) -> None:
    endpoint, sampling = options.endpoint, options.sampling
    key_of(endpoint)
    prompts = read_prompts(options.prompts, options.splits.split(","))
    total = options.count or options.samples_per_prompt * len(prompts)

    def requests() -> Iterator[Request]:
        for prompt, index in keys_of(options, len(prompts)):
            yield request(
                endpoint,
                sampling,
                prompt_id=prompts["prompt_id"][prompt],
                sample_index=index,
                text=prompts["text"][prompt],
                seed=sample_seed(options.seed, prompt, index),
            )

    with Journal(options.journal) as journal:
        ask(requests(), total, endpoint, journal, options.progress)
        taken = tally(requests(), journal)
        responses = (_response(journal.entry(wanted.name)) for wanted in requests())
        keys = keys_of(options, len(prompts))
        rows = graded_samples(prompts, keys, responses, policy=options.run, seed=options.seed)
    dollars = taken.usage.dollars(endpoint.price_input, endpoint.price_output)
    provenance = {
        "task": options.task,
        "policy": options.run,
        "weights_hash": None,
        "prompts_hash": file_hash(options.prompts),
        "sampling": sampling.model_dump(),
        "seed": options.seed,
        "endpoint": endpoint.model_dump(),
        "served_by": taken.served_by,
        "usage": {**taken.usage._asdict(), "dollars": dollars},
        "filtered": taken.filtered,
        "ends": taken.ends,
        "estimated": taken.estimated,
        "code_hash": options.code,
        "versions": versions(),
    }
    write_table(rows, Samples, options.output, provenance)
    log(
        "asked",
        responses=len(rows),
        accuracy=sum(row["correct"] for row in rows) / len(rows),
        filtered=taken.filtered,
        ends=json.dumps(taken.ends),
        estimated=taken.estimated,
        **taken.usage._asdict(),
        dollars=f"{dollars:.2f}",
    )


if __name__ == "__main__":
    main(run, Options, __doc__)
