# The parts of the config that jobs get, as JSON.

import hashlib

from online_il.config.study import checkpoints_of, evaluation_of, method_of


def hash_of(text):
    """A short hash of settings that a job reads from the file: a change reruns the job."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_settings(wildcards):
    """A task's data."""
    return TASKS[wildcards.task].data.model_dump_json()


def base_settings(wildcards):
    """A task's base."""
    return TASKS[wildcards.task].base.model_dump_json()


def pretraining_settings(wildcards):
    """The training from scratch of a task's base."""
    return TASKS[wildcards.task].base.model_dump_json(exclude={"kind"})


def finetuning_settings(wildcards):
    """The fine-tuning of a task's base."""
    return TASKS[wildcards.task].base.finetuning.model_dump_json()


def model_settings(wildcards):
    """A model that is not trained here: a task's base, or one of its experts."""
    task, model = wildcards.task, wildcards.model
    return (TASKS[task].base if model == "base" else EXPERTS[task, model]).model_dump_json()


def template_of(wildcards):
    """The hash of the file with such a model's chat template, where it has one of its own."""
    path = json.loads(model_settings(wildcards)).get("chat_template")
    # A file that is not there is for `preflight` to name.
    return hash_of(Path(path).read_text(encoding="utf-8")) if path and Path(path).is_file() else ""


def expert_settings(wildcards):
    """The endpoint of an expert behind one."""
    return EXPERTS[wildcards.task, wildcards.run].model_dump_json(exclude={"name", "kind"})


def method_settings(wildcards):
    """What a run shares with all runs of its method in its task."""
    method = RUNS[wildcards.task, wildcards.run].method
    return method_of(STUDY, TASKS[wildcards.task], method).model_dump_json()


def evaluation_settings(wildcards):
    """How a task's checkpoints are evaluated."""
    return evaluation_of(STUDY, TASKS[wildcards.task]).model_dump_json()


def demonstrations_settings(wildcards):
    """How demonstrations are sampled, as the policy is evaluated."""
    return evaluation_of(STUDY, TASKS[wildcards.task]).policy.model_dump_json()


def demonstrations_count(wildcards):
    """How many demonstrations the students of a task learn from."""
    return method_of(STUDY, TASKS[wildcards.task], "sft").demonstrations


def of_run(key):
    """A field of a run's row in the config."""
    return lambda wildcards: getattr(RUNS[wildcards.task, wildcards.run], key)


def keep(wildcards):
    """The steps that a run publishes, with commas between."""
    run = RUNS[wildcards.task, wildcards.run]
    return ",".join(map(str, checkpoints_of(STUDY, TASKS[wildcards.task], run)))


def demonstrations(wildcards):
    """The samples of the expert that a run imitates."""
    expert = RUNS[wildcards.task, wildcards.run].expert
    return f"{R}/samples/{wildcards.task}/{expert}/seed{wildcards.seed}.parquet"


# How often a training saves what it goes on from. A resource and no parameter: it changes no number,
# so that a change of it reruns nothing.
SAVE_MINUTES = f"{STUDY.save_minutes:g}"


def chance(task):
    """How often guessing is right on a task's forgetting benchmark; MMLU has four choices."""
    return 1 / (task.data.facts.choices if task.data.kind == "miniature" else 4)
