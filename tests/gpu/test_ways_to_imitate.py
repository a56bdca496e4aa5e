"""Every way to imitate on a GPU against the same on a CPU; an expert of several parts among them.

Needs one GPU and the packages of envs/gpu.txt without vLLM; models are tiny, so that it takes a
minute. On a GPU TRL's losses are other code (Triton) than on a CPU.
"""

import json
import math
import os
import random
from pathlib import Path

import pytest
from programs import most_held, write_prompts

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

from trl import DistillationTrainer  # noqa: E402

from online_il.config.architecture import Architecture  # noqa: E402
from online_il.config.distill import Distill  # noqa: E402
from online_il.config.generation import Generation  # noqa: E402
from online_il.config.mixture import MixtureExpert  # noqa: E402
from online_il.experts.opening import open_mixture  # noqa: E402
from online_il.experts.teacher import Teacher  # noqa: E402
from online_il.models import (  # noqa: E402
    byte_tokenizer,
    cut_vocabulary,
    load_model,
    new_model,
    save_policy,
    word_tokenizer,
)
from online_il.tasks.countdown import Instance  # noqa: E402
from online_il.tasks.miniature import VOCABULARY, solver_responses  # noqa: E402
from online_il.training import common, distill  # noqa: E402
from online_il.training.resume import Saving  # noqa: E402

SHAPE = Architecture(hidden_size=32, intermediate_size=64, layers=2, heads=2, head_dim=16)
WIDER = Architecture(hidden_size=64, intermediate_size=128, layers=3, heads=4, head_dim=16)
LOOP = Generation(engine="loop", batch_size=64)
TRANSFORMERS = Generation(engine="transformers", batch_size=64)
PROMPTS = ["<bos> 3 12 4 T 19 :", "<bos> 5 2 7 T 14 :"]
PER_PROMPT, UPDATES = 4, 2
SETTINGS = Distill(
    batch_size=PER_PROMPT * len(PROMPTS),
    micro_batch_size=4,
    temperature=0.8,
    max_new_tokens=24,
    max_grad_norm=0.7,
    checkpoints=[UPDATES],
)
WAYS = {
    "own-reverse": {},
    "own-forward": {"divergence": "forward"},
    "expert-reverse": {"prefixes": "expert"},
    "expert-forward": {"prefixes": "expert", "divergence": "forward"},
    "response": {"level": "response", "responses_per_prompt": PER_PROMPT},
    "log-density": {
        "level": "response",
        "divergence": "log-density",
        "responses_per_prompt": PER_PROMPT,
    },
    "constant": {"divergence": "constant"},
}
DEVICES = {
    "cpu": {"use_cpu": True},
    "gpu": {"use_cpu": False},
    "gpu, bfloat16": {"use_cpu": False, "bf16": True},
}


CLOSE = {"loss": (2e-4, 0.02), "entropy": (2e-4, 0.02), "grad_norm": (2e-3, 0.06)}
"""How far apart they may be, as a share: in single precision, and in bfloat16."""


def away_from_uniform(architecture: Architecture, seed: int, padding: int = 0):
    """A model of the miniature's vocabulary, and so many rows that no token has."""
    model = new_model(architecture, word_tokenizer(VOCABULARY), max_length=64, seed=seed)
    if padding:
        model.resize_token_embeddings(len(VOCABULARY) + padding, mean_resizing=False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 4
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A policy, which is a part of the mixture."""
    made = tmp_path_factory.mktemp("policies") / "expert"
    save_policy(away_from_uniform(SHAPE, 1), word_tokenizer(VOCABULARY), made)
    return made


def expert_of(kind: str, folder: Path, device: str):
    """The expert: a larger model with rows that no token has, or a run and the solver."""
    if kind == "wider":
        model = away_from_uniform(WIDER, 2, padding=8)
        cut_vocabulary(model, len(VOCABULARY))
        return model.to(torch.bfloat16) if "bfloat16" in device else model
    settings = MixtureExpert(
        name="mixture",
        kind="mixture",
        parts={"expert": 0.25, "solver": 0.75},
        learnable="expert",
        fallback="expert",
    )
    # `transformers` is on the GPU; the decode loop, of other code, on the CPU.
    generation = LOOP if device == "cpu" else TRANSFORMERS
    return Teacher(open_mixture(settings, {"expert": folder}, generation))


def responses() -> list[list[int]]:
    """Responses of several lengths: the solver's, its beginnings with other ends, and others."""
    rng, ids = random.Random(0), {word: index for index, word in enumerate(VOCABULARY)}
    found = []
    for prompt in PROMPTS:
        _, *numbers, _, target, _ = prompt.split()
        solved = solver_responses(Instance(tuple(map(int, numbers)), int(target)))
        for kind in range(PER_PROMPT):
            known = [ids[word] for word in rng.choice(solved).split()]
            drawn = [rng.randrange(3, len(VOCABULARY)) for _ in range(rng.randrange(1, 16))]
            kept = (len(known), len(known) // 2, 0, 0)[kind]
            found.append(known if kept == len(known) else [*known[:kept], *drawn, ids["<eos>"]])
    return found


def trained(place: Path, kind: str, way: str, device: str, folder: Path):
    """The recorder of a run of two updates on responses that are the same everywhere."""
    settings = Distill.model_validate(SETTINGS.model_dump() | WAYS[way])
    answers = responses()
    asked = [prompt for prompt in PROMPTS for _ in range(PER_PROMPT)]
    rows = [{"prompt": p, "response": r} for p, r in zip(asked, answers, strict=True)] * UPDATES
    if settings.prefixes == "own":
        rows = [{"prompt": row["prompt"]} for row in rows[:: settings.responses_per_prompt]]
    options = common.arguments(
        output=place / "state", updates=UPDATES, learning_rate=0.003, max_grad_norm=0.7, seed=5
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DistillationTrainer, "_generate_single_turn", lambda *_, **__: answers)
        return distill.train(
            away_from_uniform(SHAPE, 0),
            expert_of(kind, folder, device),
            word_tokenizer(VOCABULARY),
            rows,
            settings,
            generation=TRANSFORMERS,
            arguments=options | DEVICES[device],
            checkpoints=[UPDATES],
            saving=Saving(place / "saved", "a run", 60),
            progress=place / "progress.json",
        )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ["wider", "mixture"])
def test_losses_and_gradients_are_those_of_a_cpu(kind, way, folder, tmp_path):
    found = {
        device: trained(tmp_path / str(place), kind, way, device, folder)
        for place, device in enumerate(DEVICES)
    }
    if place := os.environ.get("OUT"):
        rows = {device: recorder.rows for device, recorder in found.items()}
        with (Path(place) / "losses.jsonl").open("a") as stream:
            stream.write(json.dumps({"kind": kind, "way": way, **rows}) + "\n")
    expected = found.pop("cpu").rows
    assert len(expected) == UPDATES and expected[0]["loss"] != expected[1]["loss"]
    for device, recorder in found.items():
        for update, (row, wanted) in enumerate(zip(recorder.rows, expected, strict=True)):
            assert row["tokens"] == wanted["tokens"] > 0
            for key, (single, half) in CLOSE.items():
                assert math.isfinite(row[key]), (device, key)
                # AdamW divides by the gradient, so that a second update sees more of the rounding.
                rel = 10 * single if update else single
                if "bfloat16" in device:
                    rel = 1.0 if update else half
                assert row[key] == pytest.approx(wanted[key], rel=rel), (device, key, update)


@pytest.mark.parametrize("way", ["own-reverse", "response"])
def test_the_student_samples_its_own_responses_on_the_gpu(way, folder, tmp_path):
    settings = Distill.model_validate(SETTINGS.model_dump() | WAYS[way])
    count = UPDATES * settings.batch_size // settings.responses_per_prompt
    student, seen = away_from_uniform(SHAPE, 0), set()

    def note(module, _, out):
        if torch.is_grad_enabled():
            seen.add((module.weight.dtype, out.dtype))

    student.model.layers[0].self_attn.q_proj.register_forward_hook(note)
    recorder = distill.train(
        student,
        expert_of("mixture", folder, "gpu"),
        word_tokenizer(VOCABULARY),
        [{"prompt": PROMPTS[row % 2]} for row in range(count)],
        settings,
        generation=TRANSFORMERS,
        arguments=common.arguments(
            output=tmp_path / "state",
            updates=UPDATES,
            learning_rate=0.003,
            max_grad_norm=0.7,
            seed=5,
            hardware="gpu",
        ),
        checkpoints=[UPDATES],
        saving=Saving(tmp_path / "saved", "a run", 60),
        progress=tmp_path / "progress.json",
    )
    assert next(student.parameters()).device.type == "cuda"
    assert seen == {(torch.float32, torch.bfloat16)}, "weights in single precision, products not"
    assert all(math.isfinite(row["loss"]) and row["loss"] > 0 for row in recorder.rows)
    assert 0 < recorder.tokens <= UPDATES * settings.batch_size * settings.max_new_tokens
    published = load_model(tmp_path / "saved" / "published" / f"step{UPDATES}")
    assert published.dtype == torch.bfloat16, "as they are sampled"


def test_the_program_cuts_an_expert_that_is_wider(tmp_path):
    tokenizer, rows = byte_tokenizer(), {"base": 280, "expert": 300}
    for seed, (name, architecture) in enumerate({"base": SHAPE, "expert": WIDER}.items()):
        model = new_model(architecture, tokenizer, max_length=256, seed=seed)
        model.resize_token_embeddings(rows[name], mean_resizing=False)
        save_policy(model.to(torch.bfloat16), tokenizer, tmp_path / name / "step0")
    write_prompts(tmp_path / "prompts.parquet")
    settings = SETTINGS.model_copy(update={"level": "response", "responses_per_prompt": PER_PROMPT})
    held = most_held("distill", tmp_path, tmp_path, settings, TRANSFORMERS)
    student = load_model(tmp_path / "checkpoints" / f"step{UPDATES}")
    assert student.config.vocab_size == 280 and student.dtype == torch.bfloat16
    assert 0 < held < 4 * 2**30, "CUDA's own, twice"
