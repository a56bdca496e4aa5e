# The parts of the config that jobs get, and the files that follow from them.

import hashlib

from online_il.config.policies import prefixes_of
from online_il.cost import rules as costs
from online_il.errors import InputError
from online_il.tasks import beside_data


def hash_of(text):
    """Hash settings that a job reads from the file: a change reruns the job."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def data_settings(wildcards):
    """Give a task's data."""
    return TASKS[wildcards.task].data


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
    """List those of a task's benchmarks that models which are no runs answer, with commas between."""
    left_out = (*benchmarks.SCORED, *benchmarks.FURTHER)
    return ",".join(name for name in TASKS[wildcards.task].benchmarks if name not in left_out)


def texts_of(wildcards):
    """Hash the files of its own that a task's data have besides: a change reruns the job."""
    return beside_data.texts(data_settings(wildcards))


def of_run(key):
    """Give a field of a run's row in the config."""
    return lambda wildcards: getattr(RUNS[wildcards.task, wildcards.run], key)


def published_steps(wildcards):
    """List the steps that a run publishes, with commas between."""
    run = RUNS[wildcards.task, wildcards.run]
    return ",".join(map(str, TASKS[wildcards.task].checkpoints_of(run)))


def unit_rows(rule, policy=attrgetter("run")):
    """Give how many responses a job keeps at once: those of a quarter of an hour by the plan; 0: any.

    With other engines than vLLM these are those of a batch, which is much less.
    """

    def rows(wildcards):
        if STUDY.plan is None or STUDY.generation.engine != "vllm":
            return 0
        drawn = costs.Policy(STUDY, STUDY.plan, TASKS[wildcards.task], policy(wildcards))
        try:
            return costs.unit_rows(drawn, rule)
        except InputError:  # The shape of its model is not known here.
            return 0

    return rows


include: "demonstrations.smk"
include: "tables.smk"
