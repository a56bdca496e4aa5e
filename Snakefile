# online-il: one DAG, three scales. This file is the map: it checks the whole config, includes the
# rules in the order in which they run, and names the targets.

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "workflow"))

from online_il import benchmarks
from online_il.claims.board import show
from online_il.config.claims import load_claims
from online_il.config.site import SiteError, gpu_job, load_site
from online_il.config.study import (
    ConfigError,
    checkpoints_of,
    evaluation_of,
    load,
    method_of,
    resources_of,
    seeds_of,
)
from online_il.environment import prepare
from online_il.integrity import damaged
from online_il.lock import hold
from online_il.provenance import code_hash

CONFIG = Path((workflow.configfiles or [ROOT / "config" / "mini.yaml"])[-1])
try:
    STUDY = load(CONFIG, workflow.config_settings.config)
    load_claims(ROOT / "config" / "claims.yaml")
    SITE = load_site(ROOT / "slurm" / "config.yaml")
except (ConfigError, SiteError) as error:
    raise WorkflowError(str(error)) from None

R = f"results/{STUDY.scale}"
if workflow.is_main_process and (broken := damaged(Path(R))):
    raise WorkflowError("damaged results; nothing was started:\n  " + "\n  ".join(broken))

if workflow.is_main_process:
    LOCK = hold(Path(".snakemake"))  # Until this process ends.

prepare(ROOT, STUDY.hardware)

# A process that the kernel kills, for want of memory, cannot say so itself.
shell.prefix(
    "set -euo pipefail; trap '[ $? != 137 ] || echo \"error: the job was killed (SIGKILL), most likely"
    " because no memory was left: raise resources.<rule>.mem_mb in the config, or lower"
    " micro_batch_size or generation.batch_size, and start again: it goes on\" >&2' EXIT; "
)


wildcard_constraints:
    seed=r"\d+",


include: "rules/common.smk"
include: "rules/names.smk"
include: "rules/settings.smk"
include: "rules/targets.smk"
include: "rules/checks.smk"
include: "rules/preflight.smk"
include: "rules/plan.smk"
include: "rules/data.smk"
include: "rules/base.smk"
include: "rules/models.smk"
include: "rules/expert.smk"
include: "rules/samples.smk"
include: "rules/endpoint.smk"
include: "rules/students.smk"
include: "rules/evaluate.smk"
include: "rules/aggregate.smk"
include: "rules/figures.smk"


# On a cluster these run on the machine that submits: they take seconds or need the network.
localrules:
    preflight,
    plan,
    prompts,
    convert,
    fetch,
    adopt,
    demonstrate,
    figure1,
    figure2,
    summary,


if STUDY.discrepancy:

    include: "rules/pairs.smk"
    include: "rules/responses.smk"
    include: "rules/discrepancy.smk"

    localrules:
        tokenizer,
        ask,
        table1,
        figure3,


if STUDY.theory:

    include: "rules/theory.smk"
    include: "rules/theory_figures.smk"

    localrules:
        figure4,
        slopes,


include: "rules/claims.smk"
include: "rules/report.smk"


localrules:
    claims,
    report_page,
    all,


rule all:
    default_target: True
    input:
        curves_outputs(),
        discrepancy_outputs(),
        theory_outputs(),
        claims_outputs(),
        f"{R}/report.html",


onstart:
    check()


onsuccess:
    show(Path(R))
