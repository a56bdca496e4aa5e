"""What the probe finds of an engine and of a training: the real ones pass, odd ones do not."""

import json
import sys
from pathlib import Path

import pytest

from online_il.config.architecture import Architecture
from online_il.config.study import load
from online_il.generation.engines import open_engine
from online_il.models import byte_tokenizer, new_model, save_policy
from online_il.preflight.toolchain import Unfit
from online_il.probe import sampling, training
from online_il.probe.trial import Trial

ROOT = Path(__file__).parents[2]
SHAPE = Architecture(hidden_size=16, intermediate_size=32, layers=1, heads=1, head_dim=16)


@pytest.fixture(scope="module")
def policies(tmp_path_factory):
    """A probe of the smoke study with its two policies written."""
    folder = tmp_path_factory.mktemp("probe")
    tokenizer = byte_tokenizer()
    save_policy(new_model(SHAPE, tokenizer, 4096, 1), tokenizer, folder / "model")
    study = load(ROOT / "config" / "smoke.yaml")
    trial = Trial(study, folder, folder / "model", folder / "work", launch=sys.executable)
    assert "tied embeddings" in sampling.model(trial)
    return trial


@pytest.fixture
def trial(policies):
    policies.opened = policies.loaded = None
    return policies


class Odd:
    """The study's engine, of which some things are otherwise."""

    def __init__(self, settings, **oddities):
        self.engine, self.oddities, self.calls = open_engine(settings), oddities, 0

    def load(self, policy):
        if "stale" not in self.oddities or not self.calls:
            self.engine.load(policy)
        self.calls += 1

    def respond(self, prompts, keys, *, sampling, seed):
        self.calls += 1
        seed = {"deaf": 1, "restless": self.calls}.get(self.oddities.get("seeds"), seed)
        return self.engine.respond(prompts, keys, sampling=sampling, seed=seed)

    def loglikelihoods(self, prompts, continuations):
        rows = self.engine.loglikelihoods(prompts, continuations)
        return [[score + self.oddities.get("away", 0.0) for score in row] for row in rows]


def lack(look, trial) -> Unfit:
    with pytest.raises(Unfit) as raised:
        look(trial)
    assert raised.value.remedy
    return raised.value


def test_the_real_engine_passes_every_check(trial):
    assert "loop ready after" in sampling.start(trial)
    assert "32 responses the same again; 32 of them in another order" in sampling.seeds(trial)
    assert "0.0000 nats a token from torch's, over 170 tokens" in sampling.log_probabilities(trial)
    assert "new weights after" in sampling.reload(trial)


def test_an_engine_that_does_not_hear_seeds_is_found(trial):
    trial.opened = Odd(trial.generation, seeds="deaf")
    assert "another seed draws the same" in lack(sampling.seeds, trial).found


def test_an_engine_that_never_draws_the_same_is_found(trial):
    trial.opened = Odd(trial.generation, seeds="restless")
    error = lack(sampling.seeds, trial)
    assert "the same seed draws other tokens" in error.found
    assert "VLLM_BATCH_INVARIANT=1" in error.remedy


@pytest.mark.parametrize("away", [-3.0, 3.0, float("nan")])
def test_an_engine_whose_probabilities_are_others_is_found(away, trial):
    trial.opened = Odd(trial.generation, away=away)
    assert "log-probabilities are not the model's" in lack(sampling.log_probabilities, trial).found


def test_the_engine_is_given_weights_no_oftener_than_they_change(trial):
    """With tied embeddings each time is a new start of vLLM, and takes a minute."""
    trial.opened = Odd(trial.generation)
    loads, load = [], trial.opened.load
    trial.opened.load = lambda policy: (loads.append(policy.name), load(policy))
    for look in (sampling.start, sampling.seeds, sampling.log_probabilities, sampling.reload):
        look(trial)
    assert loads == ["step1", "step2"]


def test_an_engine_that_keeps_the_weights_before_is_found(trial):
    trial.opened = Odd(trial.generation, stale=True)
    assert "with new weights" in lack(sampling.reload, trial).found


# ---- the training ----


def launched(trial, folder: Path, script: str) -> Trial:
    """A probe whose trainings are started by a script; its first argument names the folder."""
    program = folder / "launch.py"
    program.write_text(f"import sys\nfrom pathlib import Path\n{script}\n")
    trial.launch = f"{sys.executable} {program}"
    return trial


PUBLISH = """
import shutil
sys.path[:0] = {paths}
from online_il.files import write_table
from online_il.records import Training
words = dict(word[2:].split("=", 1) for word in sys.argv[2:])
nan = float("nan")
rows = [
    dict(update=n, step=n, samples=n, tokens=n, device_seconds=1.0, loss=1.0, learning_rate=0.1,
         grad_norm=1.0, entropy=nan, reward=0.5, kl={kl}, mean_length=1.0, truncation_rate=0.0,
         reward_spread={spread})
    for n in (1, 2)
]
write_table(rows, Training, Path(words["training"]), dict())
shutil.copytree(words["base"], Path(words["checkpoints"]) / "step2")
"""


def published(kl: float, spread: float) -> str:
    """A script that publishes the base as it was, with such numbers."""
    return PUBLISH.format(paths=[str(ROOT / "workflow")], kl=kl, spread=spread)


@pytest.mark.slow
def test_two_steps_of_grpo_are_trained_by_the_rules_own_program(policies, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow"))
    policies.launch = sys.executable
    said = training.training(policies)
    assert said.startswith("2 steps of GRPO on one process with loop in")
    assert "no reward differed" not in said
    record = json.loads((policies.work / "training" / "record").read_text())
    assert record["settings"]["kl_coefficient"] == 0.001


def test_a_training_that_breaks_is_no_pass(policies, tmp_path):
    trial = launched(policies, tmp_path, "sys.exit(7)")
    with pytest.raises(RuntimeError, match="status 7"):
        training.training(trial)


@pytest.mark.slow
def test_a_reference_of_other_weights_and_weights_that_stay_are_found(policies, tmp_path):
    trial = launched(policies, tmp_path, published(kl=0.3, spread=0.5))
    error = lack(training.training, trial)
    assert "the KL to the base is 0.300, not 0" in error.found
    trial = launched(policies, tmp_path, published(kl=1e-6, spread=0.5))
    assert "two updates changed no weight" in lack(training.training, trial).found
    trial = launched(policies, tmp_path, published(kl=1e-6, spread=0.0))
    assert "no reward differed, so that no weight did" in training.training(trial)


@pytest.mark.parametrize(
    ("asked", "there", "said", "launch"),
    [
        (2, 2, "2 GPUs (FSDP)", "two"),
        (2, 8, "2 GPUs (FSDP)", "two"),
        (2, 1, "one GPU (1 is here: FSDP was not tried)", "one"),
        (1, 1, "one GPU (no more were asked for)", "one"),
    ],
)
def test_two_gpus_train_together_where_there_are_two(
    asked, there, said, launch, tmp_path, monkeypatch
):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: there)
    study = load(ROOT / "config" / "paper.yaml")
    trial = Trial(study, tmp_path, tmp_path, tmp_path, asked, launch="two", launch_one="one")
    assert training._launch(trial) == (said, launch)
