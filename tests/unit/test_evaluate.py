"""The script that evaluates the checkpoints of a run: what it asks of the engine."""

import importlib.util
import json
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
from test_engines import make_policy

from online_il.config.evaluation import Evaluation
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.errors import InputError
from online_il.evaluation import planned, seed_of_samples
from online_il.files import write_json, write_table
from online_il.generation.response import Response
from online_il.models import WEIGHTS
from online_il.provenance import file_hash
from online_il.records import (
    Checkpoint,
    EvaluationRecord,
    Passages,
    Prompts,
    RunRecord,
    read_record,
    read_table,
)

SCRIPT = Path(__file__).parents[2] / "workflow" / "scripts" / "evaluate.py"


class Recorder:
    """An engine that notes what it is asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, object]] = []

    def load(self, policy):
        self.calls.append(("load", policy.name))

    def units(self, prompts, keys):
        return [list(range(len(prompts)))]

    def respond(self, prompts, keys, *, sampling, seed):
        self.calls.append(("respond", (list(zip(prompts, keys, strict=True)), sampling, seed)))
        return [Response("", 1, "stop")] * len(prompts)

    def loglikelihoods(self, prompts, continuations):
        self.calls.append(("loglikelihoods", (prompts, continuations)))
        return [[-1.0] * (len(choices) - 1) + [-0.5] for choices in continuations]


@pytest.fixture
def evaluate():
    spec = importlib.util.spec_from_file_location("evaluate_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


ROWS = [
    ("a", "id", "<bos> 1 2 T 3 :", {"numbers": [1, 2], "target": 3}),
    ("b", "id", "<bos> 2 2 T 4 :", {"numbers": [2, 2], "target": 4}),
    ("c", "forgetting", "<bos> F 1 2 :", {"grader": "choice", "choices": [4, 9], "correct": 9}),
]
GENERATION = Generation(engine="transformers", batch_size=3)
POLICY = Sampling(max_new_tokens=4)
PAPER = Sampling(top_k=50, top_p=0.7, max_new_tokens=4)
SETTINGS = Evaluation(samples_per_prompt=2, seed=11, policy=POLICY, paper=PAPER)


def job(evaluate, folder: Path, settings: Evaluation, run: str = "expert", seed: int = 7):
    """A run with two checkpoints and three prompts; the options of its evaluation."""
    checkpoints = []
    for step in (1, 5):
        weights = folder / "checkpoints" / f"step{step}" / WEIGHTS
        weights.parent.mkdir(parents=True)
        weights.write_bytes(bytes([step]))
        counts = dict.fromkeys(("updates", "samples", "tokens"), step) | {"device_seconds": 0.0}
        hashed = file_hash(weights)
        checkpoints.append(Checkpoint(step=step, weights_hash=hashed, **counts))
    named = {"task": "countdown", "run": run, "method": "grpo", "expert": None, "seed": seed}
    hashes = {
        "initial_weights_hash": None,
        "expert_hash": None,
        "prompts_hash": "",
        "code_hash": "",
    }
    record = RunRecord(**named, **hashes, settings={}, checkpoints=checkpoints, versions={})
    write_json(record, folder / "run.json")
    origin = {"task": "countdown", "source": "", "revision": ""}
    write_table(
        [
            {"prompt_id": i, "split": split, "text": text, "answer": json.dumps(answer), **origin}
            for i, split, text, answer in ROWS
        ],
        Prompts,
        folder / "prompts.parquet",
        {},
    )
    return evaluate.Options(
        task="countdown",
        run=run,
        seed=seed,
        code="0",
        settings=settings.model_dump_json(),
        benchmarks="id,forgetting",
        checkpoints=folder / "checkpoints",
        record=folder / "run.json",
        prompts=[folder / "prompts.parquet"],
        generation=GENERATION.model_dump_json(),
        output=folder / "eval",
        state=folder / "state",
        progress=folder / "progress.json",
    )


def asked(count: int) -> list[tuple[str, tuple[int, int]]]:
    """The prompts that are sampled, each with the keys of its responses."""
    texts = [ROWS[0][2], ROWS[1][2]]
    return [(texts[p], (p, sample)) for p in range(2) for sample in range(count)]


def test_each_checkpoint_is_loaded_once_into_the_one_engine_of_the_job(
    evaluate, tmp_path, monkeypatch
):
    options = job(evaluate, tmp_path, SETTINGS)
    engine, opened = Recorder(), []

    def engine_for(policy, generation):
        opened.append(generation)
        return engine

    monkeypatch.setattr(evaluate, "engine_for", engine_for)
    evaluate.run(options)
    (seed,) = seeds_of(engine)
    work = [
        ("respond", (asked(2), POLICY, seed)),
        ("respond", (asked(2), PAPER, seed)),
        # The space before a choice belongs to it.
        ("loglikelihoods", ([ROWS[2][2]], [[" 4", " 9"]])),
    ]
    assert opened == [GENERATION]
    assert engine.calls == [("load", "step1"), *work, ("load", "step5"), *work]
    scored = json.loads((tmp_path / "eval" / "step5" / "forgetting.json").read_text())
    assert scored["accuracy"] == 1.0
    # One that is cut short leaves nothing under the name of a whole one.
    monkeypatch.setattr(engine, "respond", cut_short)
    options = options.model_copy(update={"state": tmp_path / "other"})
    with pytest.raises(KeyboardInterrupt):
        evaluate.run(options)
    assert not (tmp_path / "eval").exists()


def test_a_text_is_read_once_at_each_checkpoint_and_has_no_accuracy(
    evaluate, tmp_path, monkeypatch
):
    text = {"grader": "text", "text": " 3 12 4"}
    rows = [(name, "prose", "<bos> 1 2 T", text) for name in ("d", "e")]
    monkeypatch.setattr("test_evaluate.ROWS", [*ROWS, *rows])
    options = job(evaluate, tmp_path, SETTINGS).model_copy(update={"benchmarks": "id,prose"})
    for step in (1, 5):
        policy = make_policy(tmp_path / f"policy{step}")
        for name in ("tokenizer.json", "config.json", "generation_config.json"):
            shutil.copy(policy / name, tmp_path / "checkpoints" / f"step{step}" / name)
    engine = Recorder()
    monkeypatch.setattr(evaluate, "engine_for", lambda *_: engine)
    evaluate.run(options)
    read = [call for call in engine.calls if call[0] == "loglikelihoods"]
    assert read == 2 * [("loglikelihoods", (["<bos> 1 2 T"] * 2, [[" 3 12 4"]] * 2))]
    found = read_record(tmp_path / "eval" / "step5" / "prose.json", EvaluationRecord)
    # Half a nat for each passage of three tokens and seven bytes.
    assert found.nats_per_token == pytest.approx(1 / 6)
    assert found.bits_per_byte == pytest.approx(1 / 14 / math.log(2))
    assert found.nats_per_token_stderr == 0
    assert found.accuracy is found.accuracy_stderr is found.mean_length is None
    assert (found.n_prompts, found.samples_per_prompt) == (2, 1)
    assert found.sampling_settings == {"scoring": "loglikelihood"}
    passages = read_table(tmp_path / "eval" / "step5" / "prose.parquet", Passages)
    assert passages["n_tokens"].tolist() == [3, 3] and passages["nats"].tolist() == [0.5, 0.5]
    answered = read_record(tmp_path / "eval" / "step5" / "id.json", EvaluationRecord)
    assert answered.perplexity is None and answered.accuracy == 0.0
    assert not list((tmp_path / "eval").rglob("prose.paper*"))


def test_each_record_names_the_table_that_its_prompts_came_from(evaluate, tmp_path, monkeypatch):
    options = job(evaluate, tmp_path, SETTINGS)
    first, second = tmp_path / "prompts.parquet", tmp_path / "further.parquet"
    rows = read_table(first, Prompts)
    more = rows.head(2).assign(split="id2", prompt_id=["d", "e"])
    write_table(more.to_dict("records"), Prompts, second, {})
    monkeypatch.setattr(evaluate, "engine_for", lambda *_: Recorder())
    asked_for = {"prompts": [first, second], "benchmarks": "id2,id"}
    evaluate.run(options.model_copy(update=asked_for))
    for name, table in (("id", first), ("id2", second), ("id2.paper", second)):
        record = read_record(tmp_path / "eval" / "step5" / f"{name}.json", EvaluationRecord)
        assert record.prompts_hash == file_hash(table) and record.n_prompts == 2
    with pytest.raises(
        InputError, match=r"prompts\.parquet, .*further\.parquet: no prompt of .*ood2"
    ):
        evaluate.run(options.model_copy(update=asked_for | {"benchmarks": "id,ood2"}))


def cut_short(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


# ---- how many responses, and of which random numbers ----


def seeds_of(engine: Recorder) -> set[int]:
    return {call[1][2] for call in engine.calls if call[0] == "respond"}


def evaluated(evaluate, folder: Path, monkeypatch, settings: Evaluation, **policy) -> Recorder:
    engine = Recorder()
    monkeypatch.setattr(evaluate, "engine_for", lambda policy, generation: engine)
    evaluate.run(job(evaluate, folder, settings, **policy))
    return engine


@pytest.mark.parametrize(
    ("changes", "first", "last"),
    [
        ({}, [(2, POLICY), (2, PAPER)], [(2, POLICY), (2, PAPER)]),
        ({"samples_at_last": 3}, [(2, POLICY), (2, PAPER)], [(3, POLICY), (2, PAPER)]),
        ({"paper_checkpoints": "last"}, [(2, POLICY)], [(2, POLICY), (2, PAPER)]),
        (
            {"samples_at_last": 3, "paper_checkpoints": "last", "responses": {"id": 1}},
            [(1, POLICY)],
            [(3, POLICY), (1, PAPER)],
        ),
        ({"samples_at_last": 3, "paper": None}, [(2, POLICY)], [(3, POLICY)]),
    ],
)
def test_the_last_checkpoint_is_sampled_as_its_settings_say(
    evaluate, tmp_path, monkeypatch, changes, first, last
):
    settings = Evaluation.model_validate(SETTINGS.model_dump() | changes)
    engine = evaluated(evaluate, tmp_path, monkeypatch, settings)
    parts, calls = [], []
    for name, what in engine.calls:
        if name == "load":
            calls = []
            parts.append(calls)
        elif name == "respond":
            calls.append((what[0], what[1]))
    assert parts == [[(asked(count), one) for count, one in part] for part in (first, last)]
    # Choices are scored once at each checkpoint, however many responses there are.
    assert sum(name == "loglikelihoods" for name, _ in engine.calls) == 2
    for step, part in ((1, first), (5, last)):
        folder = tmp_path / "eval" / f"step{step}"
        names = {path.stem for path in folder.glob("*.json")}
        paper = {"id.paper"} if len(part) == 2 else set()
        assert names == {"id", "forgetting"} | paper
        record = json.loads((folder / "id.json").read_text())
        assert record["samples_per_prompt"] == part[0][0] and record["n_prompts"] == 2
        choices = json.loads((folder / "forgetting.json").read_text())
        assert choices["samples_per_prompt"] == 1


def test_policies_of_a_seed_share_random_numbers_and_seeds_do_not(evaluate, tmp_path, monkeypatch):
    policies = {
        (run, seed, start): evaluated(
            evaluate,
            tmp_path / f"{run}{seed}{start}",
            monkeypatch,
            SETTINGS.model_copy(update={"seed": start}),
            run=run,
            seed=seed,
        )
        for run, seed, start in (
            *(("expert", 7, 11), ("student", 7, 11), ("expert", 8, 11), ("student", 8, 11)),
            *(("expert", 11, 7), ("expert", 7, 12)),
        )
    }
    seeds = {key: seeds_of(engine) for key, engine in policies.items()}
    assert all(len(found) == 1 for found in seeds.values())
    assert seeds["expert", 7, 11] == seeds["student", 7, 11]
    assert seeds["expert", 8, 11] == seeds["student", 8, 11]
    apart = [("expert", 7, 11), ("expert", 8, 11), ("expert", 11, 7), ("expert", 7, 12)]
    assert len(set.union(*(seeds[key] for key in apart))) == 4


def test_no_two_seeds_of_an_evaluation_meet():
    """Neither neighbours, nor sums, nor the two in the other order: all of 10,000 differ."""
    pairs = [(seed, policy) for seed in range(100) for policy in range(100)]
    found = {seed_of_samples(*pair) for pair in pairs}
    assert len(found) == len(pairs) and all(0 <= seed < 2**32 for seed in found)


@pytest.mark.parametrize("order", [(1, 5), (5, 1)])
def test_the_last_checkpoint_is_the_one_of_the_largest_step(order):
    rows = pd.DataFrame({"answer": [json.dumps({"numbers": [1, 2], "target": 3})]})
    counts = dict.fromkeys(("updates", "samples", "tokens"), 1) | {"device_seconds": 0.0}
    checkpoints = [Checkpoint(step=step, weights_hash="w", **counts) for step in order]
    settings = SETTINGS.model_copy(update={"samples_at_last": 9, "paper_checkpoints": "last"})
    found = planned(checkpoints, {"id": rows}, settings)
    assert {(one.checkpoint.step, one.sampling, one.responses) for one in found} == {
        (1, "policy", 2),
        (5, "policy", 9),
        (5, "paper", 2),
    }
