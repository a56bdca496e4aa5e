"""The scripts of the rules on vLLM's CPU build, and vLLM's own server in front of a policy."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vllm_policies import PROMPTS, make_policy, needs_vllm

from online_il.config.evaluation import Evaluation
from online_il.config.generation import Generation
from online_il.config.sampling import Sampling
from online_il.files import write_json, write_table
from online_il.generation.engines import open_engine
from online_il.models import WEIGHTS
from online_il.provenance import file_hash
from online_il.records import Checkpoint, Prompts, RunRecord, Samples, provenance, read_table
from online_il.tasks.miniature import VOCABULARY

pytestmark = needs_vllm
ROOT = Path(__file__).parents[2]
GREEDY = Sampling(temperature=0.0, max_new_tokens=16)
VLLM = Generation(engine="vllm", batch_size=8, memory_share=0.1)
LOOP = Generation(engine="loop", batch_size=8)
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT / "workflow"), "OMP_NUM_THREADS": "1"}
START_SECONDS = 300  # It takes a minute on two cores.


def script(name: str, folder: Path, **options: object) -> None:
    """Run a script of the rules on a run in a folder."""
    shared = {"task": "countdown", "run": "expert", "seed": 1, "code": "0"}
    places = {"checkpoints": folder / "checkpoints", "prompts": folder / "prompts.parquet"}
    options = shared | places | {"progress": folder / "progress.json"} | options
    flags = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    command = [sys.executable, str(ROOT / "workflow" / "scripts" / f"{name}.py"), *flags]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run of two checkpoints and the prompts of its task."""
    folder = tmp_path_factory.mktemp("run")
    checkpoints = []
    for step in (1, 2):
        policy = make_policy(folder / "checkpoints" / f"step{step}", seed=step, tied=False)
        counts = {"updates": step, "samples": step, "tokens": step, "device_seconds": 0.0}
        weights_hash = file_hash(policy / WEIGHTS)
        checkpoints.append(Checkpoint(step=step, weights_hash=weights_hash, **counts))
    record = RunRecord(
        task="countdown",
        run="expert",
        method="grpo",
        expert=None,
        seed=1,
        settings={},
        checkpoints=checkpoints,
        initial_weights_hash=None,
        expert_hash=None,
        prompts_hash="0",
        code_hash="0",
        versions={},
    )
    write_json(record, folder / "run.json")
    solved = json.dumps({"numbers": [3, 12, 4], "target": 19})
    known = json.dumps({"grader": "choice", "choices": [5, 34, 99], "correct": 34})
    rows = [("train", PROMPTS[0], solved), ("train", PROMPTS[1], solved)]
    rows += [("id", PROMPTS[1], solved), ("id", PROMPTS[3], solved)]
    rows += [("forgetting", PROMPTS[2], known)]
    origin = {"task": "countdown", "source": "test", "revision": "0"}
    table = [
        {"prompt_id": f"p{i}", "split": split, "text": text, "answer": answer, **origin}
        for i, (split, text, answer) in enumerate(rows)
    ]
    write_table(table, Prompts, folder / "prompts.parquet", {})
    return folder


def test_sample_draws_every_demonstration_once_and_as_the_decode_loop_does(trained):
    tables = []
    for generation in (VLLM, LOOP):
        output = trained / f"{generation.engine}.parquet"
        script(
            "sample",
            trained,
            count=6,
            sampling=GREEDY.model_dump_json(),
            generation=generation.model_dump_json(),
            output=output,
            state=output.with_suffix(".jsonl"),
        )
        assert provenance(output)["generation"]["engine"] == generation.engine
        tables.append(read_table(output, Samples))
    keys = list(zip(tables[0]["prompt_id"], tables[0]["sample_index"], strict=True))
    assert keys == [(f"p{i % 2}", i // 2) for i in range(6)]
    assert tables[0].equals(tables[1])


def test_evaluate_measures_every_checkpoint_as_the_decode_loop_does(trained):
    sampled = Sampling(temperature=1.0, top_k=50, top_p=0.7, max_new_tokens=16)
    settings = Evaluation(samples_per_prompt=3, seed=1, policy=GREEDY, paper=sampled)
    for generation in (VLLM, LOOP):
        script(
            "evaluate",
            trained,
            settings=settings.model_dump_json(),
            benchmarks="id,forgetting",
            record=trained / "run.json",
            generation=generation.model_dump_json(),
            output=trained / generation.engine,
            state=trained / f"state-{generation.engine}",
        )
    for name in ("step1/id", "step2/id", "step1/forgetting", "step2/forgetting"):
        texts = [(trained / kind / f"{name}.json").read_text() for kind in ("vllm", "loop")]
        assert json.loads(texts[0]) == json.loads(texts[1])
        tables = [
            read_table(trained / kind / f"{name}.parquet", Samples) for kind in ("vllm", "loop")
        ]
        assert tables[0].equals(tables[1])
    drawn = read_table(trained / "vllm" / "step2" / "id.paper.parquet", Samples)
    keys = set(zip(drawn["prompt_id"], drawn["sample_index"], strict=True))
    assert len(drawn) == 6 and keys == {(p, i) for p in ("p2", "p3") for i in range(3)}
    assert (trained / "vllm" / "step1" / "id.parquet").read_bytes() != (
        trained / "vllm" / "step2" / "id.parquet"
    ).read_bytes()


@pytest.fixture(scope="module")
def server(trained):
    """vLLM's OpenAI-compatible server with the first checkpoint behind it; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    policy = trained / "checkpoints" / "step1"
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(policy), "--served-model-name", "policy", "--port", str(port)]
    command += ["--host", "127.0.0.1", "--dtype", "float32", "--gpu-memory-utilization", "0.1"]
    log = trained / "server.log"
    with log.open("w") as stream:
        process = subprocess.Popen(command, stdout=stream, stderr=stream, env=ENVIRONMENT)
    try:
        deadline = time.monotonic() + START_SECONDS
        while "Application startup complete" not in log.read_text():
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
            time.sleep(1)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(60)


def test_vllms_server_answers_an_openai_client_with_the_tokens_of_the_engine(trained, server):
    from openai import OpenAI

    client = OpenAI(base_url=server, api_key="none")
    assert [model.id for model in client.models.list()] == ["policy"]
    prompt = [VOCABULARY.index(word) for word in PROMPTS[0].split()]
    answer = client.completions.create(
        model="policy",
        prompt=prompt,
        max_tokens=16,
        temperature=0.0,
        extra_body={"return_token_ids": True},
    )
    engine = open_engine(LOOP)
    engine.load(trained / "checkpoints" / "step1")
    (expected,) = engine.respond([PROMPTS[0]], [(0, 0)], sampling=GREEDY, seed=1)
    choice = answer.choices[0]
    said = [VOCABULARY[token] for token in choice.token_ids]
    assert [word for word in said if word != "<eos>"] == expected.text.split()
    assert choice.finish_reason == expected.finish_reason
    assert answer.usage.completion_tokens == expected.n_tokens
