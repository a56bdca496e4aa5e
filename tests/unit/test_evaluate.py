"""The script that evaluates the checkpoints of a run: what it asks of the engine."""

import importlib.util
import json
from pathlib import Path

import pytest

from online_il.config.evaluation import Evaluation
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.files import write_json, write_table
from online_il.generation.response import Response
from online_il.models import WEIGHTS
from online_il.provenance import file_hash
from online_il.records import Checkpoint, Prompts, RunRecord

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


def test_each_checkpoint_is_loaded_once_into_the_one_engine_of_the_job(
    evaluate, tmp_path, monkeypatch
):
    checkpoints = []
    for step in (1, 5):
        weights = tmp_path / "checkpoints" / f"step{step}" / WEIGHTS
        weights.parent.mkdir(parents=True)
        weights.write_bytes(bytes([step]))
        counts = dict.fromkeys(("updates", "samples", "tokens"), step) | {"device_seconds": 0.0}
        hashed = file_hash(weights)
        checkpoints.append(Checkpoint(step=step, weights_hash=hashed, **counts))
    named = {"task": "countdown", "run": "expert", "method": "grpo", "expert": None, "seed": 7}
    hashes = {
        "initial_weights_hash": None,
        "expert_hash": None,
        "prompts_hash": "",
        "code_hash": "",
    }
    record = RunRecord(**named, **hashes, settings={}, checkpoints=checkpoints, versions={})
    write_json(record, tmp_path / "run.json")
    origin = {"task": "countdown", "source": "", "revision": ""}
    rows = [
        ("a", "id", "<bos> 1 2 T 3 :", {"numbers": [1, 2], "target": 3}),
        ("b", "id", "<bos> 2 2 T 4 :", {"numbers": [2, 2], "target": 4}),
        ("c", "forgetting", "<bos> F 1 2 :", {"grader": "choice", "choices": [4, 9], "correct": 9}),
    ]
    write_table(
        [
            {"prompt_id": i, "split": split, "text": text, "answer": json.dumps(answer), **origin}
            for i, split, text, answer in rows
        ],
        Prompts,
        tmp_path / "prompts.parquet",
        {},
    )
    policy = Sampling(max_new_tokens=4)
    paper = Sampling(top_k=50, top_p=0.7, max_new_tokens=4)
    settings = Evaluation(samples_per_prompt=2, seed=11, policy=policy, paper=paper)
    engine, opened = Recorder(), []

    def engine_for(policy, generation):
        opened.append(generation)
        return engine

    monkeypatch.setattr(evaluate, "engine_for", engine_for)
    generation = Generation(engine="transformers", batch_size=3)
    options = evaluate.Options(
        task="countdown",
        run="expert",
        seed=7,
        code="0",
        settings=settings.model_dump_json(),
        benchmarks="id,forgetting",
        checkpoints=tmp_path / "checkpoints",
        record=tmp_path / "run.json",
        prompts=tmp_path / "prompts.parquet",
        generation=generation.model_dump_json(),
        output=tmp_path / "eval",
        state=tmp_path / "state",
        progress=tmp_path / "progress.json",
    )
    evaluate.run(options)
    texts = {"a": rows[0][2], "b": rows[1][2]}
    asked = [(texts["a"], (0, 0)), (texts["a"], (0, 1)), (texts["b"], (1, 0)), (texts["b"], (1, 1))]
    work = [
        ("respond", (asked, policy, 11)),
        ("respond", (asked, paper, 11)),
        # The space before a choice belongs to it.
        ("loglikelihoods", ([rows[2][2]], [[" 4", " 9"]])),
    ]
    assert opened == [generation]
    assert engine.calls == [("load", "step1"), *work, ("load", "step5"), *work]
    scored = json.loads((tmp_path / "eval" / "step5" / "forgetting.json").read_text())
    assert scored["accuracy"] == 1.0
    # One that is cut short leaves nothing under the name of a whole one.
    monkeypatch.setattr(engine, "respond", cut_short)
    options = options.model_copy(update={"state": tmp_path / "other"})
    with pytest.raises(KeyboardInterrupt):
        evaluate.run(options)
    assert not (tmp_path / "eval").exists()


def cut_short(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
