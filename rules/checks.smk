# The checks before the first job of a task, and what the plan and preflight read of the config.

import subprocess

from online_il.cost.budget import dollars
from online_il.cost.jobs import expected_seconds
from online_il.program.dag import Job, graph_of, pending_jobs, write_start
from online_il.program.lock import only_says
from online_il.program.scheduling import look_once_a_timespan

CHECKED = {"hardware", "generation", "evaluation", "methods", "resources", "plan", "tracker"}


def check():
    """Check what the tasks need of which something is about to be done; start nothing if one lacks it.

    No job does this, because Snakemake 9.27 takes everything after a job for done that runs again
    while its old output is there and is marked as ancient, missing files and all.
    """
    graph = graph_of(workflow.dag)
    if BUDGET is not None and set(graph) != {Job("plan")}:
        raise WorkflowError(
            "command line: only `snakemake plan` heeds a budget; nothing was started: write"
            f" `snakemake plan --config budget={BUDGET}`, or leave it out"
        )
    names = {job.task for job in pending_jobs(graph)}
    known = {task: name_of_checks(task, graph) for task in TASKS if task in names}
    due = {task: name for task, name in known.items() if not has_passed(task, name)}
    if due and not pass_checks(due, graph):
        raise WorkflowError(f"nothing was started: see above what {', '.join(due)} needs")
    cores = workflow.resource_settings.cores
    if not only_says(workflow.dag):
        write_start(graph, LAYOUT.results, expected_seconds(STUDY, pending_jobs(graph), cores))
    look_once_a_timespan()


def name_of_checks(task, graph):
    """Name all that the checks of a task read."""
    shared = STUDY.model_dump_json(include=CHECKED)
    asked_for = str(sorted({job[:3] for job in graph if job.task == task}))
    files = [Path(one.path) for one in TASKS[task].experts if one.kind == "file"]
    read = "".join(content(path) for path in files if path.is_file())
    settings = shared + TASKS[task].model_dump_json() + read
    return hash_of(settings + asked_for + place_of_jobs(None) + code("preflight"))


def has_passed(task, name):
    """Tell whether a task was checked and had no problem: then its report ends with that name."""
    last = LAYOUT.preflight(task)
    return last.is_file() and last.read_text().split()[-1] == name


def pass_checks(due, graph):
    """Check that some tasks have what they need; what they share is checked, and said, once."""
    words = ["--config", os.path.relpath(CONFIG), "--results", str(LAYOUT.results)]
    words += ["--overrides", json.dumps(OVERRIDES), *place_of_jobs(None).split()]
    words += ["--task", *due, "--checked", *due.values(), "--jobs", "-"]
    words += ["--output", *(str(LAYOUT.preflight(task)) for task in due)]
    jobs = json.dumps([job[:4] for job in pending_jobs(graph)])
    print(f"check what {', '.join(due)} needs", flush=True)
    command = ["python", script("preflight"), *words]
    done = subprocess.run(command, input=jobs, text=True, stderr=subprocess.STDOUT)
    return done.returncode == 0


def place_of_jobs(wildcards):
    """The option that says where jobs run: on a cluster, or on this machine's cores."""
    plugin = workflow.executor_plugin
    profile = os.path.relpath(ROOT / "slurm" / "config.yaml")
    if getattr(plugin, "name", "") == "slurm":
        return f"--slurm {profile} --attempts {workflow.execution_settings.retries + 1}"
    cores = workflow.resource_settings.cores
    return f"--cores {cores}" if cores else ""


def budget_option():
    """Give the plan's option of a budget; refuse one that is no amount of money."""
    if BUDGET is None:
        return ""
    try:
        return f"--budget {dollars(BUDGET)}"
    except InputError as error:
        sys.exit(f"error: {error}")


def require_plan(wildcards):
    """No file; a study that says nothing of GPUs and lengths ends here, with one line."""
    if STUDY.plan is None:
        sys.exit(
            f"error: {CONFIG}: no `plan`, which says what GPU and which lengths are assumed; add it"
            " as config/paper.yaml has it"
        )
    return []
