"""Sampling that is stopped anywhere and started again, against sampling that was not."""

import json
import logging
import signal
import time
from pathlib import Path

import pytest
import warm
from test_engines import PROMPTS, make_policy, opened

from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.files import write_table
from online_il.generation.resume import SCORED, Resume, loglikelihoods, respond
from online_il.generation.vllm_engine import UNIT_BATCHES, VllmEngine
from online_il.provenance import identity
from online_il.records import Prompts

ENGINES = ["loop", "transformers"]
SAMPLE = Path(__file__).parents[2] / "workflow" / "scripts" / "sample.py"
SAMPLING = Sampling(temperature=1.0, max_new_tokens=12)
KEYS = [(p, s) for s in range(5) for p in range(len(PROMPTS))]
TEXTS = [PROMPTS[p] for p, _ in KEYS]


@pytest.fixture(scope="module")
def policy(tmp_path_factory):
    return make_policy(tmp_path_factory.mktemp("resume") / "step0")


class Killed(BaseException):
    """Stands for a kill between two batches."""


class Counted:
    """An engine that counts its batches and may be killed before one."""

    def __init__(self, engine, dies_at=None):
        self.engine, self.dies_at, self.calls = engine, dies_at, 0

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def respond(self, *arguments, **options):
        if self.calls == self.dies_at:
            raise Killed
        self.calls += 1
        return self.engine.respond(*arguments, **options)


def drawn(engine, path, name="a"):
    return respond(
        engine, TEXTS, KEYS, sampling=SAMPLING, seed=3, resume=Resume(path, identity(job=name))
    )


@pytest.mark.parametrize("name", ENGINES)
def test_a_sampling_that_was_stopped_is_the_one_that_was_not(policy, tmp_path, name):
    engine = opened(name, policy)
    whole = drawn(engine, tmp_path / "whole.jsonl")
    assert len({response.text for response in whole}) > len(PROMPTS)
    units = len(engine.units(TEXTS, KEYS))
    for stop in range(units):
        path = tmp_path / f"{stop}.jsonl"
        with pytest.raises(Killed):
            drawn(Counted(engine, dies_at=stop), path)
        again = Counted(opened(name, policy))
        assert drawn(again, path) == whole
        assert again.calls == units - stop
        assert path.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("name", ENGINES)
def test_units_hold_every_row_once(policy, name):
    rows = [row for unit in opened(name, policy).units(TEXTS, KEYS) for row in unit]
    assert sorted(rows) == list(range(len(KEYS)))


def test_units_of_vllm_hold_whole_prompts_and_every_row_once():
    engine = object.__new__(VllmEngine)
    engine._settings = Generation(engine="vllm", batch_size=2)
    keys = [(p, s) for s in range(3) for p in range(20)]
    units = engine.units([""] * len(keys), keys)
    assert sorted(row for unit in units for row in unit) == list(range(len(keys)))
    prompts = [{keys[row][0] for row in unit} for unit in units]
    assert sum(map(len, prompts)) == 20 and len(units) > 1
    assert all(len(unit) >= 2 * UNIT_BATCHES for unit in units[:-1])


def test_both_engines_draw_the_same_tokens_from_a_rows_own_seed(policy):
    options = {"sampling": SAMPLING, "seed": 3}
    loop = opened("loop", policy).respond(TEXTS, KEYS, **options)
    for batch_size in (1, 4, 100):
        running = opened("transformers", policy, batch_size=batch_size)
        assert running.respond(TEXTS, KEYS, **options) == loop
    backwards = opened("transformers", policy).respond(TEXTS[::-1], KEYS[::-1], **options)
    assert backwards == loop[::-1]
    assert opened("transformers", policy).respond(TEXTS, KEYS, sampling=SAMPLING, seed=4) != loop


class FromBatchToBatch:
    """An engine of one large unit, as vLLM's are, which tells the rows of each of its calls."""

    def __init__(self, engine):
        self.engine, self.asked = engine, []

    def units(self, prompts, keys):
        return [list(range(len(keys)))]

    def respond(self, prompts, keys, **options):
        self.asked.append(list(keys))
        return self.engine.respond(prompts, keys, **options)


def kept(engine, path, rows):
    resume = Resume(path, "a", unit_rows=rows)
    return respond(engine, TEXTS, KEYS, sampling=SAMPLING, seed=3, resume=resume)


@pytest.mark.parametrize("rows", [1, 7, len(KEYS) - 1, len(KEYS), 10 * len(KEYS)])
def test_no_more_rows_than_asked_for_are_lost_by_a_kill(policy, tmp_path, rows):
    engine = FromBatchToBatch(opened("loop", policy))
    responses = kept(engine, tmp_path / "kept.jsonl", rows)
    assert responses == drawn(opened("loop", policy), tmp_path / "whole.jsonl")
    assert [key for unit in engine.asked for key in unit] == KEYS
    sizes = [len(unit) for unit in engine.asked]
    assert max(sizes) <= rows and len(sizes) == -(-len(KEYS) // rows)
    assert (tmp_path / "kept.jsonl").read_bytes().count(b"\n") == 1 + len(sizes)


@pytest.mark.parametrize(("before", "after"), [(7, 3), (0, 5), (4, 0)])
def test_what_was_begun_goes_on_as_it_was_cut(policy, tmp_path, before, after):
    """How much is kept at once follows from the plan, which decides no number and may change."""
    path, loop = tmp_path / "kept.jsonl", opened("loop", policy)
    whole = kept(FromBatchToBatch(loop), path, before)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    again = FromBatchToBatch(loop)
    assert kept(again, path, after) == whole
    assert len(again.asked) == 1 and path.read_bytes() == b"".join(lines)


def damage(kind, path):
    lines = path.read_bytes().splitlines(keepends=True)
    if kind == "torn":
        path.write_bytes(b"".join(lines)[:-5])
    elif kind == "flipped":
        lines[2] = lines[2].replace(b"stop", b"stoq", 1).replace(b"length", b"lengtg", 1)
        path.write_bytes(b"".join(lines))
    elif kind == "foreign":
        path.write_bytes(b"".join(lines[:2]) + b'{"other": 1}\n' + b"".join(lines[3:]))
    elif kind == "lost":
        path.write_bytes(b"".join(lines[:1] + lines[2:]))
    elif kind == "twice":
        path.write_bytes(b"".join(lines[:2] + lines[1:]))
    elif kind == "binary":
        path.write_bytes(b"\x00\xff" * 100)


@pytest.mark.parametrize("kind", ["torn", "flipped", "foreign", "lost", "twice", "binary"])
def test_a_damaged_line_is_said_and_generated_again(policy, tmp_path, caplog, kind):
    engine = opened("loop", policy)
    whole = drawn(engine, tmp_path / "kept.jsonl")
    damage(kind, tmp_path / "kept.jsonl")
    again = Counted(engine)
    with caplog.at_level(logging.INFO):
        assert drawn(again, tmp_path / "kept.jsonl") == whole
    assert again.calls > 0
    assert str(tmp_path / "kept.jsonl") in caplog.text


def test_nothing_is_taken_from_another_job(policy, tmp_path):
    engine = opened("loop", policy)
    whole = drawn(engine, tmp_path / "kept.jsonl", "a")
    again = Counted(engine)
    assert drawn(again, tmp_path / "kept.jsonl", "b") == whole
    assert again.calls == len(engine.units(TEXTS, KEYS))
    again = Counted(engine)
    drawn(again, tmp_path / "kept.jsonl", "b")
    assert again.calls == 0


def test_scores_are_kept_too(policy, tmp_path):
    engine = opened("loop", policy)
    prompts = ["<bos> F 1 2 :", "<bos> F 98 7 :"] * SCORED
    choices = [[" 4", " 9"]] * len(prompts)
    calls = []

    class Scorer:
        def loglikelihoods(self, some, continuations):
            calls.append(len(some))
            if len(calls) == 2:
                raise Killed
            return engine.loglikelihoods(some, continuations)

    resume = Resume(tmp_path / "scores.jsonl", identity(job="a"))
    with pytest.raises(Killed):
        loglikelihoods(Scorer(), prompts, choices, resume)
    scores = loglikelihoods(Scorer(), prompts, choices, resume)
    assert calls == [SCORED, SCORED, SCORED]
    expected = engine.loglikelihoods(prompts[:2], choices[:2])
    assert [scores[0], scores[1]] == [pytest.approx(pair, rel=1e-5) for pair in expected]
    assert len(scores) == len(prompts)


# ---- the real program ----


def write_prompts(folder):
    origin = {"task": "t", "split": "train", "source": "", "revision": ""}
    answer = json.dumps({"numbers": [3, 4], "target": 12})
    rows = [
        {"prompt_id": str(i), "text": text, "answer": answer, **origin}
        for i, text in enumerate(PROMPTS)
    ]
    write_table(rows, Prompts, folder / "prompts.parquet", {})


def command(folder, policy, name, count=600):
    state = folder / f"{name}.jsonl"
    words = f"--task t --run expert --seed 1 --code c --checkpoints {policy.parent}"
    words += f" --prompts {folder}/prompts.parquet --count {count} --output {folder}/{name}.parquet"
    words += f" --state {state} --progress {folder}/{name}.json"
    generation = Generation(engine="loop", batch_size=2).model_dump_json()
    sampling = SAMPLING.model_dump_json()
    settings = ["--sampling", sampling, "--generation", generation]
    return [SAMPLE, *words.split(), *settings], state


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_program_goes_on_after_a_kill(policy, tmp_path, number):
    write_prompts(tmp_path)
    whole, _ = command(tmp_path, policy, "whole")
    warm.run(*whole, check=True)
    killed, state = command(tmp_path, policy, "killed")
    with (tmp_path / "log").open("w") as log:
        process = warm.Program(killed, stderr=log)
        while process.poll() is None and (
            not state.is_file() or state.read_bytes().count(b"\n") < 20
        ):
            time.sleep(0.01)
        process.send_signal(number)
        status = process.wait(timeout=60)
    assert status == (75 if number == signal.SIGTERM else -number)
    assert not (tmp_path / "killed.parquet").exists()
    lines = state.read_bytes().count(b"\n")
    done = warm.run(*killed, check=True)
    assert f"going on after batch {lines - 1} of 300" in done.stderr
    assert (tmp_path / "killed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
