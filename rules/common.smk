# What the other files here share, namely the runs, where their files lie, what a job asks for.

from online_il.config.site import gpu_job, granted, warning
from online_il.config.study import resources_of, seeds_of
from online_il.provenance import code_hash

# Asked to stop, the shell waits for its program, which saves first. A process that the kernel kills,
# for want of memory, cannot say so itself.
shell.prefix(
    "set -euo pipefail; trap : TERM USR1; trap '[ $? != 137 ] || echo"
    ' "error: the job was killed (SIGKILL), most likely because no memory was left of what it asked'
    " for, or of this machine with its $(grep MemTotal /proc/meminfo | tr -dc 0-9) KiB: raise"
    " resources.<rule>.mem_mb in the config, or lower micro_batch_size or generation.batch_size, and"
    " start again: it goes on\" >&2' EXIT; "
)

TASKS = {task.name: task for task in STUDY.tasks}
RUNS = {(task.name, run.name): run for task in STUDY.tasks for run in task.runs}
EXPERTS = {(task.name, expert.name): expert for task in STUDY.tasks for expert in task.experts}
CONDA = str(ROOT / "envs" / ("gpu.yaml" if STUDY.hardware == "gpu" else "cpu.yaml"))


def script(name):
    """A rule's script, from the working directory."""
    return os.path.relpath(ROOT / "workflow" / "scripts" / f"{name}.py")


def sources(pattern):
    """Files of the repository that are inputs, from the working directory: a copy has the same."""
    return sorted(os.path.relpath(path) for path in ROOT.glob(pattern))


def code(name):
    """The hash of a rule's script and of the modules that it uses: a change reruns the rule."""
    return code_hash(ROOT / "workflow" / "scripts" / f"{name}.py")


def asks(rule):
    """What a job of a rule asks for in its task; memory and time grow with every attempt."""

    def settings(wildcards):
        return resources_of(STUDY, TASKS[wildcards.task], rule)

    def runtime(wildcards, attempt):
        return granted(settings(wildcards).runtime, attempt, SITE.max_runtime)

    def of_site(key):
        return lambda wildcards: gpu_job(SITE, settings(wildcards).gpu).get(key)

    return {
        "mem_mb": lambda wildcards, attempt: granted(
            settings(wildcards).mem_mb, attempt, SITE.max_mem_mb
        ),
        "runtime": runtime,
        "slurm_extra": lambda wildcards, attempt: warning(runtime(wildcards, attempt)),
        "gpu": lambda wildcards: settings(wildcards).gpu,
        **{key: of_site(key) for key in ("gpu_model", "cpus_per_gpu", "nodes", "slurm_partition")},
    }


def threads_of(rule):
    """How many threads a job of a rule has in its task."""
    return lambda wildcards: resources_of(STUDY, TASKS[wildcards.task], rule).threads


def launch(wildcards, resources):
    """What starts a program that trains: Python, or `accelerate` with a process a GPU."""
    if STUDY.hardware == "cpu":
        return "python"
    name = "fsdp" if resources.gpu > 1 else "single"
    config = os.path.relpath(ROOT / "config" / "accelerate" / f"{name}.yaml")
    # Port 0 is any free one, for two jobs may share a node.
    return (
        f"accelerate launch --config_file {config} --num_processes {resources.gpu}"
        " --main_process_port 0"
    )


def run_folder(task="{task}", run="{run}", seed="{seed}"):
    """Where a trained policy lies."""
    return f"{R}/runs/{task}/{run}/seed{seed}"


RUN, BASE = run_folder(), run_folder(run="base")


def checkpoints_of_policy(task, run, seed):
    """The folder of a policy's checkpoints; one base serves all seeds, and so does a model."""
    if (task, run) in EXPERTS:
        return f"{R}/models/{task}/{run}"
    folder = run_folder(task, run, TASKS[task].base.seed if run == "base" else seed)
    return f"{folder}/checkpoints"


def base(wildcards):
    """The checkpoints of the base that a run starts from."""
    return checkpoints_of_policy(wildcards.task, "base", wildcards.seed)
