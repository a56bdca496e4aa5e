# online-il: one DAG for all scales. This file checks the whole config and includes the rules in the order
# in which they run. A local rule takes seconds or needs the network: it runs on the machine that submits.

import json
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT / "workflow"))

from online_il.config.claims import load_claims
from online_il.config.site import load_site
from online_il.errors import InputError
from online_il.integrity import damaged
from online_il.layout import Layout
from online_il.methods import METHODS
from online_il.program.accepted import Ledger
from online_il.program.environment import image, prepare
from online_il.program.finished import decide_by_identity
from online_il.program.lock import one_snakemake_per_study
from online_il.studies import load_study, taken_out

CONFIG = Path((workflow.configfiles or [ROOT / "config" / "mini.yaml"])[-1])
OVERRIDES = dict(workflow.config_settings.config)
# Words for one start. accept_code=grpo: its code is taken for what it was; retrain=true: finished policies
# are trained again; partial=true: the page of a study that is not whole; budget=50: what it buys of one.
ACCEPT = str(OVERRIDES.pop("accept_code", ""))
BUDGET = OVERRIDES.pop("budget", None)
try:
    PARTIAL, RETRAIN = (taken_out(OVERRIDES, name) for name in ("partial", "retrain"))
    STUDY = load_study(CONFIG, OVERRIDES)
    CLAIMED = load_claims(ROOT / "config" / "claims.yaml")
    SITE = load_site(ROOT / "slurm" / "config.yaml")
    IMAGE = image(ROOT, workflow.deployment_settings)
except InputError as error:
    sys.exit(f"error: {error}")

LAYOUT = Layout(Path("results", STUDY.scale))
if workflow.is_main_process:
    if broken := damaged(LAYOUT.results):
        sys.exit("error: damaged results; nothing was started:\n  " + "\n  ".join(broken))
    one_snakemake_per_study(STUDY.scale)
    decide_by_identity(LAYOUT.results)

prepare(ROOT, STUDY.hardware)


include: "rules/common.smk"
include: "rules/checks.smk"
include: "rules/preflight.smk"
include: "rules/data.smk"
include: "rules/models.smk"
include: "rules/base.smk"
include: "rules/mix.smk"
include: "rules/samples.smk"
include: "rules/demonstrate.smk"
include: "rules/fresh.smk"
include: "rules/train.smk"
include: "rules/evaluate.smk"
include: "rules/aggregate.smk"


if STUDY.discrepancy:

    include: "rules/pairs.smk"
    include: "rules/responses.smk"
    include: "rules/discrepancy.smk"


if STUDY.divergence:

    include: "rules/divergence.smk"


if STUDY.theory:

    include: "rules/theory.smk"


include: "rules/figures.smk"
include: "rules/claims.smk"
include: "rules/report.smk"
include: "rules/accepted.smk"
include: "rules/probe.smk"
include: "rules/handlers.smk"


rule all:
    default_target: True
    input:
        curves_outputs(),
        discrepancy_outputs(),
        divergence_outputs(),
        theory_outputs(),
        claims_outputs(),
        LAYOUT.report,
    localrule: True
