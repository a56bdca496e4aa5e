"""Any key of a run's method on the run itself: what it changes, and what is said of a wrong one."""

import json
from pathlib import Path

import pytest
from configs import error, line_of, shipped

from online_il.charts.style import styles
from online_il.config.run import Run
from online_il.config.study import load as load_alone
from online_il.methods import METHODS
from online_il.studies import load_study as load

MINI = shipped("mini")
SFT = "        expert: expert\n        steps: 160\n"
GRPO = "        method: grpo\n        steps: 80\n"
KEYS = [
    (name, key, field)
    for name, method in METHODS.items()
    for key, field in method.settings.model_fields.items()
    if key != "checkpoints"
]


def study(folder: Path, text: str):
    path = folder / "study.yaml"
    path.write_text(text)
    return load(path)


def with_keys(after: str, *keys: str) -> str:
    assert after in MINI
    return MINI.replace(after, after + "".join(f"        {key}\n" for key in keys), 1)


@pytest.mark.parametrize(("method", "key", "field"), KEYS, ids=lambda one: str(one)[:30])
def test_every_key_of_every_method_is_one_of_runs_and_means_the_same(method, key, field):
    own = Run.model_fields[key]
    assert own.default is None and "left out" in own.description
    # A key of several methods has the same kinds of values in all of them.
    others = [o for other, name, o in KEYS if name == key and other != method]
    assert all((o.annotation, o.metadata) == (field.annotation, field.metadata) for o in others)


def test_runs_with_keys_of_their_own_stand_beside_one_without(tmp_path):
    more = """
      - {name: few, method: sft, expert: expert, steps: 160, learning_rate: 0.0005,
         demonstrations: 64}
      - {name: hot, method: sft, expert: expert, steps: 160, learning_rate: 0.0005,
         expert_temperature: 1.3}
      - {name: big, method: sft, expert: expert, steps: 160, learning_rate: 0.0005,
         batch_size: 128}
      - {name: cold, method: distill, expert: expert, steps: 160, learning_rate: 0.0005,
         divergence: forward, temperature: 0.7}
      - {name: groups, method: grpo, steps: 80, learning_rate: 0.0002, rollouts_per_prompt: 16,
         learning_rate_schedule: cosine, clip_ratio: 0.1}
"""
    (task,) = study(tmp_path, MINI + more).tasks
    runs = {run.name: task.settings_of(run) for run in task.runs}
    assert runs["few"].demonstrations == 64 and runs["sft-realizable"].demonstrations == 4096
    assert runs["hot"].expert_temperature == 1.3 and runs["hot"].demonstrations == 4096
    assert (runs["big"].batch_size, runs["big"].micro_batch_size) == (128, 16)
    assert (runs["cold"].divergence, runs["cold"].temperature) == ("forward", 0.7)
    groups = runs["groups"]
    assert (groups.rollouts, groups.update_size) == (32 * 16, 32 * 16 // 2)
    assert (groups.learning_rate_schedule, groups.clip_ratio) == ("cosine", 0.1)
    # One figure shows them by name, each in a style of its own.
    looks = styles([*runs])
    assert len({looks[name] for name in ("few", "hot", "big", "cold", "groups")}) == 5


def test_a_run_that_sets_none_of_them_has_the_settings_that_it_always_had():
    (task,) = load_alone(Path(__file__).parents[2] / "config" / "mini.yaml").tasks
    runs = {run.name: run for run in task.runs}
    given = json.loads(task.settings_of(runs["sft-realizable"]).model_dump_json())
    # As they stood before there were such keys: an option of its job, and so its identity.
    assert given == {
        "batch_size": 64,
        "micro_batch_size": 16,
        "demonstrations": 4096,
        "filter": "none",
        "max_grad_norm": 1.0,
        "checkpoints": [2, 5, 10, 20, 35, 55, 80, 105, 130, 160, 240, 320],
    }
    assert not runs["sft-realizable"].has_own_samples


def test_null_takes_off_what_the_method_may_be_without(tmp_path):
    shared = MINI.replace(
        "  grpo:\n    prompts", "  grpo:\n    lora: {rank: 2, alpha: 4}\n    prompts"
    )
    (task,) = study(tmp_path, shared.replace(GRPO, GRPO + "        lora: null\n")).tasks
    assert task.methods.grpo.lora.rank == 2
    assert task.settings_of(task.runs[0]).lora is None
    (task,) = study(tmp_path, with_keys(GRPO, "clip_ratio: null")).tasks
    assert task.settings_of(task.runs[0]).clip_ratio == 0.2


@pytest.mark.parametrize(
    ("after", "keys", "words"),
    [
        (GRPO, ["rollouts_per_promt: 4"], "unknown key|did you mean 'rollouts_per_prompt'"),
        (GRPO, ["clip_ratio: -1"], "clip_ratio = -1|greater than 0"),
        (GRPO, ["learning_rate_schedule: cosin"], "learning_rate_schedule|'cosine'"),
        (GRPO, ["batch_size: 8"], "grpo has no such setting|it is for sft, distill"),
        (GRPO, ["updates_per_step: 3"], "256 rollouts, which 3 updates cannot share"),
        (GRPO, ["max_new_tokens: 250"], "max_new_tokens = 250|base.max_length"),
        (SFT, ["batch_size: 24"], "24 sequences, which do not divide into 16s"),
        (SFT, ["rollouts_per_prompt: 4"], "sft has no such setting|it is for grpo"),
        (SFT, ["expert_temperature: -1"], "expert_temperature|greater than or equal to 0"),
        (
            SFT,
            ["settings: {demonstrations: 64, filter: correct}"],
            "unknown key|write demonstrations, filter here itself, without `settings`",
        ),
    ],
)
def test_a_wrong_key_is_one_line_with_its_place_and_remedy(tmp_path, after, keys, words):
    text = with_keys(after, *keys)
    (row,) = [row for row in error(tmp_path, text).splitlines()[1:] if row.strip()]
    first = line_of(text, f"        {keys[0]}")
    # What keys say together is told of the run, or of the key.
    assert any(f"study.yaml:{first - back}: tasks[0].runs[" in row for back in range(5)), row
    assert all(word in row for word in words.split("|")), row


@pytest.mark.parametrize(
    ("expert", "words"),
    [
        ("mixture", "the mixture 'mixture' is sampled as it is"),
        ("solver", "'solver' has no weights to sample again from"),
    ],
)
def test_a_temperature_is_refused_where_the_expert_has_none(tmp_path, expert, words):
    text = MINI + (
        f"      - {{name: hot, method: sft, expert: {expert}, steps: 160, learning_rate: 0.0005,\n"
        "         expert_temperature: 0.7}\n"
    )
    (row,) = [row for row in error(tmp_path, text).splitlines() if "expert_temperature" in row]
    assert words in row and "remove it" in row


def test_a_temperature_of_all_students_is_refused_for_those_of_mixtures(tmp_path):
    text = MINI.replace(
        "    demonstrations: 4096\n", "    demonstrations: 4096\n    expert_temperature: 0.7\n"
    )
    rows = [row for row in error(tmp_path, text).splitlines() if "sampled as it is" in row]
    assert len(rows) == 2 and all("write it on the runs that it is for" in row for row in rows)
