# The parts of the config that jobs get, and the files that follow from them.

import hashlib

from online_il.config.study import prefixes_of


def hash_of(text):
    """Hash settings that a job reads from the file: a change reruns the job."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_settings(wildcards):
    """Give a task's data."""
    return TASKS[wildcards.task].data


def base_settings(wildcards):
    """Give a task's base."""
    return TASKS[wildcards.task].base


def pretraining_settings(wildcards):
    """Give the training from scratch of one of a task's bases."""
    base = TASKS[wildcards.task].named_bases[wildcards.run]
    own = base.model_copy(update={"seed": int(wildcards.seed)})
    return own.model_dump_json(exclude={"kind", "name"})


def finetuning_settings(wildcards):
    """Give the fine-tuning of a task's base."""
    return TASKS[wildcards.task].base.finetuning


def model_of(wildcards):
    """Give a model that is not trained here: a task's base, or one of its experts."""
    task, model = wildcards.task, wildcards.model
    return TASKS[task].base if model == "base" else EXPERTS[task, model]


def model_settings(wildcards):
    """Give what of such a model says what it is, without its use; a seed of weights belongs to it."""
    model = model_of(wildcards)
    ignored = {"name", "finetuning", *({"seed"} if model.kind != "random" else ())}
    return model.model_dump_json(exclude=ignored)


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
    left_out = benchmarks.FORGETTING if is_mixture(wildcards.task, wildcards.run) else ()
    return ",".join(name for name in TASKS[wildcards.task].benchmarks if name not in left_out)


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
