# online-il: one DAG, three scales. This file is the map: it checks the whole config, includes the
# rules in the order in which they run, and names the targets. A local rule takes seconds or needs
# the network: on a cluster it runs on the machine that submits.

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "workflow"))

from online_il.claims.board import show
from online_il.config.claims import load_claims
from online_il.config.site import SiteError, load_site
from online_il.config.study import ConfigError, load
from online_il.integrity import damaged
from online_il.program.accepted import Ledger
from online_il.program.environment import prepare
from online_il.program.finished import decide_by_identity
from online_il.program.lock import one_snakemake_per_study

CONFIG = Path((workflow.configfiles or [ROOT / "config" / "mini.yaml"])[-1])
OVERRIDES = dict(workflow.config_settings.config)
# Asked for with `--config partial=true`: the page of a study of which not all runs are there.
PARTIAL = bool(OVERRIDES.pop("partial", False))
# Asked for with `--config accept_code=grpo,sft`: code that is taken for what it was before.
ACCEPT = str(OVERRIDES.pop("accept_code", ""))
try:
    STUDY = load(CONFIG, OVERRIDES)
    CLAIMED = load_claims(ROOT / "config" / "claims.yaml")
    SITE = load_site(ROOT / "slurm" / "config.yaml")
except (ConfigError, SiteError) as error:
    raise WorkflowError(str(error)) from None

R = f"results/{STUDY.scale}"
if workflow.is_main_process:
    if broken := damaged(Path(R)):
        raise WorkflowError("damaged results; nothing was started:\n  " + "\n  ".join(broken))
    one_snakemake_per_study(STUDY.scale)
    decide_by_identity(Path(R))

prepare(ROOT, STUDY.hardware)


include: "rules/common.smk"
include: "rules/partial.smk"
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


if STUDY.discrepancy:

    include: "rules/pairs.smk"
    include: "rules/responses.smk"
    include: "rules/discrepancy.smk"


if STUDY.theory:

    include: "rules/theory.smk"


include: "rules/figures.smk"
include: "rules/claims.smk"
include: "rules/report.smk"
include: "rules/accepted.smk"


rule all:
    default_target: True
    input:
        curves_outputs(),
        discrepancy_outputs(),
        theory_outputs(),
        claims_outputs(),
        f"{R}/report.html",
    localrule: True


onstart:
    check()


onsuccess:
    show(Path(R))


onerror:
    hint()
