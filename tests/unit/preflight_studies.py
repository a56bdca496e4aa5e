"""Hand-made models and studies for the tests of preflight."""

import json
from pathlib import Path
from typing import Any

import yaml

from online_il.config.bases import Scratch
from online_il.config.study import Study
from online_il.preflight import machine, memory, models, templates
from online_il.preflight.report import Report
from online_il.program.dag import Job

PAPER = Path(__file__).parents[2] / "config" / "paper.yaml"
CONFIG = {
    "model_type": "qwen2",
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "vocab_size": 3,
    "tie_word_embeddings": True,
    "max_position_embeddings": 4096,
    "eos_token_id": 2,
}


NO_TENSORS = (2).to_bytes(8, "little") + b"{}"
"""A whole safetensors file."""
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% if not loop.last %}<end>"
    "{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)


def model_folder(
    folder: Path, *, vocab: dict[str, int] | None = None, template: bool = True, **config: Any
) -> Path:
    """A model's small files, and weights of which nobody may read more than the header."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(CONFIG | config))
    (folder / "model.safetensors").write_bytes(NO_TENSORS)
    tokenizer = {
        "model": {"vocab": vocab or {"a": 0, "b": 1}, "merges": []},
        "added_tokens": [{"id": 2, "content": "<end>"}],
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    settings = {"eos_token": "<end>"} | ({"chat_template": TEMPLATE} if template else {})
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def study_raw(folder: Path) -> dict[str, Any]:
    """The paper's Countdown alone, for a machine that has everything in `folder`."""
    raw = yaml.safe_load(PAPER.read_text())
    raw.pop("discrepancy")
    raw.pop("extends")
    raw["tasks"] = raw["tasks"][:1]
    raw["generation"]["engine"] = "transformers"
    raw["plan"]["tokens"] = {"countdown": raw["plan"]["tokens"]["countdown"]}
    task = raw["tasks"][0]
    task["experts"][0]["key_variable"] = "DEEPSEEK_API_KEY"
    data = folder / "data"
    (data / "data").mkdir(parents=True)
    (data / "data" / "train-00000-of-00001.parquet").write_bytes(b"")
    task["data"]["dataset"]["folder"] = str(data)
    task["base"]["folder"] = str(model_folder(folder / "student"))
    return raw


def with_expert(raw: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The study with a model of the hub whose weights a student is distilled from."""
    task = raw["tasks"][0]
    expert = {"name": "teacher", "kind": "model", "repo": "some/teacher", "revision": "b" * 40}
    task["experts"].append(expert | {"folder": str(folder)})
    task["runs"].append(
        {"name": "distill-other", "method": "distill", "expert": "teacher", "steps": 10}
        | {"learning_rate": 1e-5}
    )
    return raw


def trainings_of(study: Study) -> list[Job]:
    """The jobs that train for a study of which nothing is there."""
    jobs = []
    for task in study.tasks:
        if isinstance(task.base, Scratch):
            seeds = task.seeds_of_base("base")
            jobs += [Job("pretrain", task.name, "base", seed) for seed in seeds]
        for run in task.runs:
            jobs += [Job(run.method, task.name, run.name, seed) for seed in task.seeds]
    return jobs


def check(
    raw: dict[str, Any], results: Path = Path("results/none"), asked: tuple[int, ...] = ()
) -> list[str]:
    """The problems of every check but those of Slurm and the environment.

    `asked` are the seeds for which the paper's unrealizable expert has still to be asked.
    """
    study, report = Study.model_validate(raw), Report()
    task = study.tasks[0]
    jobs = trainings_of(study)
    jobs += [Job("demonstrate", task.name, task.experts[0].name, seed) for seed in asked]
    machine.check_keys(task, jobs, report)
    folders = models.check_files(study, task, report)
    models.check_weights(task, folders, report)
    models.check_tokenizers(task, folders, report, study.generation.engine)
    templates.check_templates(task, folders, report)
    models.check_ends(task, folders, report)
    models.check_engine(study, task, folders, report)
    models.check_context(study, task, report)
    models.check_adapters(study, task, report)
    machine.check_tracker(study, report)
    memory.check_memory(study, task, report)
    memory.check_disk(study, [task], jobs, results, report)
    return report.problems
