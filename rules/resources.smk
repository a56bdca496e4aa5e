# What jobs ask for, of this machine or of a cluster.

from online_il.config.site import capped, gpu_job
from online_il.preflight.machine import gpus_here
from online_il.preflight.memory import colocated_share
from online_il.program.deadline import note_start

if workflow.remote_exec:
    note_start()

# Of no effect without --sdm apptainer.
if STUDY.hardware == "gpu":

    container: IMAGE


# How often a training saves what it goes on from. A resource and no parameter: it changes no number,
# so that a change of it reruns nothing.
SAVE_MINUTES = f"{STUDY.save_minutes:g}"


def limit_gpus():
    """Let no more jobs run at once on this machine than it has GPUs for; a cluster sees to that itself.

    What asks for more than there are is for `preflight` to name."""
    if STUDY.hardware != "gpu" or not workflow.is_main_process or workflow.resource_settings.nodes:
        return
    here = len(gpus_here())
    if here and "gpu" not in workflow.resource_settings.resources:
        asked = [one.gpu for task in TASKS.values() for _, one in task.resources if one]
        workflow.register_resource("gpu", max([here, *asked]))


limit_gpus()


def resources_for(rule):
    """Give what a job of a rule asks for in its task; memory and time grow with every attempt."""

    def settings(wildcards):
        return getattr(TASKS[wildcards.task].resources, rule)

    def of_site(key):
        return lambda wildcards: gpu_job(SITE, settings(wildcards).gpu).get(key)

    return {
        "mem_mb": lambda wildcards, attempt: capped(
            settings(wildcards).mem_mb, attempt, SITE.max_mem_mb
        ),
        "runtime": lambda wildcards, attempt: capped(
            settings(wildcards).runtime, attempt, SITE.max_runtime
        ),
        "gpu": lambda wildcards: settings(wildcards).gpu,
        **{key: of_site(key) for key in ("gpu_model", "cpus_per_gpu", "nodes", "slurm_partition")},
    }


def share_beside(method):
    """Give the option of vLLM's share of a GPU beside a method's training; no setting, as SAVE_MINUTES."""

    def option(wildcards, resources):
        share = colocated_share(STUDY, TASKS[wildcards.task], method.name)
        return f" --colocated-share {share:.2f}" if method.on_policy else ""

    return option


def threads_of(rule):
    """Give how many threads a job of a rule has in its task."""
    return lambda wildcards: getattr(TASKS[wildcards.task].resources, rule).threads


def limit(wildcards, resources):
    """Give the minutes after which a cluster ends a job; on this machine's cores nothing does."""
    return resources.runtime if workflow.remote_exec else "inf"


def on_gpus(wildcards, resources):
    """Give what starts a program with GPUs of its own; nothing for one without."""
    if STUDY.hardware == "cpu" or not resources.get("gpu"):
        return ""
    return f"python -m online_il.program.devices {resources.gpu} "


def launch(wildcards, resources):
    """Give what starts a program that trains: Python, or `accelerate` with a process a GPU."""
    if STUDY.hardware == "cpu":
        return "python"
    name = "fsdp" if resources.gpu > 1 else "single"
    config = os.path.relpath(ROOT / "config" / "accelerate" / f"{name}.yaml")
    # Port 0 is any free one, for two jobs may share a node.
    return (
        f"{on_gpus(wildcards, resources)}accelerate launch --config_file {config}"
        f" --num_processes {resources.gpu}"
        " --main_process_port 0"
    )
