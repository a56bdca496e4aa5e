# What the other files here share, namely the runs and how their programs are called.

from operator import attrgetter

from online_il.layout import (
    FIGURE_KINDS,
    Policy,
    evaluation,
    responses_of,
    step,
    theory_panel,
    theory_table,
)
from online_il.program.flags import Flags
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
# Left out where it is single, so that no job of a study without it runs again.
PRECISION = STUDY.precision if STUDY.precision != "single" else None
CONDA = str(ROOT / "envs" / ("gpu.yaml" if STUDY.hardware == "gpu" else "cpu.yaml"))

# The wildcards of a policy: as its job's name, and as options of its program.
POLICY = ("{task}", "{run}", "seed{seed}")
OF_POLICY = {name: attrgetter(name) for name in ("task", "run", "seed")}
STATE = str(LAYOUT.state())

# How programs are called, `program` gives their params.
PROGRAM = "{params.on_gpus}python {params.script:q} {params.options} --code {params.code}"
LAUNCHED = "{params.launch} {params.script:q} {params.options} --code {params.code}"
OF_BASE = "--base {params.base:q}"
PUBLISHES = (
    "--prompts {input.prompts} --checkpoints {output.checkpoints}"
    " --training {output.training} --record {output.record}"
)
SAVES = "--save-minutes {resources.save_minutes}"
GOES_ON = "--state {params.state} --progress {params.progress} --limit-minutes {params.limit}"
KEEPS = "--unit-rows {params.unit_rows}"
TO_LOG = "> {log} 2>&1"


def command(*parts):
    """Put the parts of a command line together."""
    return " ".join(parts)


def script(name):
    """Give a rule's script, from the working directory."""
    return os.path.relpath(ROOT / "workflow" / "scripts" / f"{name}.py")


def code(name):
    """Give the hash of a rule's script and of the modules that it uses: a change reruns the rule."""
    return code_hash(ROOT / "workflow" / "scripts" / f"{name}.py")


def program(name, **options):
    """Give the params of a rule's program: it, its code, its options other than files.

    An option is a value or a function of the job's wildcards. A change of one reruns the job.
    """

    def written(wildcards):
        return Flags.of(
            {key: value(wildcards) if callable(value) else value for key, value in options.items()}
        )

    return {"script": script(name), "code": code(name), "options": written, "on_gpus": on_gpus}


def progress(rule):
    """Give the file in which a rule's job about a policy tells how far it is."""
    return str(LAYOUT.progress(rule, *POLICY))


def sources(pattern):
    """List files of the repository that are inputs, from the working directory as in a copy."""
    return sorted(os.path.relpath(path) for path in ROOT.glob(pattern))


# Functions of the config that the rules share, by theme.
include: "resources.smk"
include: "names.smk"
include: "settings.smk"
include: "models_settings.smk"
include: "policies.smk"
include: "targets.smk"
include: "arms.smk"
include: "measured.smk"
