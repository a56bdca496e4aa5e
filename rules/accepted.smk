# What the results know of the code that made them, and which code a person takes for it.

from online_il.program.failures import speak_plainly
from online_il.program.starting import attend_every_start
from online_il.provenance import code_modules, hash_of_modules


def programs():
    """By name of rule: its program, the hash of the program's code, the hashes of its modules."""
    known, found = {}, {}
    for made in workflow.rules:
        path = getattr(made.params, "script", None)
        if path and hasattr(made.params, "code"):
            if path not in known:
                modules = code_modules(ROOT / "workflow" / "scripts" / Path(path).name)
                known[path] = (Path(path).stem, hash_of_modules(modules), modules)
            found[made.name] = known[path]
    return found


LEDGER = Ledger(LAYOUT.results, programs())
if ACCEPT and workflow.is_main_process:
    try:
        LEDGER.accept(ACCEPT.split(","))
    except ValueError as error:
        sys.exit(f"error: {error}")
LEDGER.tell_jobs()
PLAINLY = speak_plainly()
if workflow.is_main_process:
    attend_every_start(
        LEDGER,
        STUDY.scale,
        lambda jobs: expected_seconds(STUDY, jobs, workflow.resource_settings.cores),
        retrain=RETRAIN,
        notes=[f"{CONFIG}: {NOTHING_COMPARED}"] if STUDY.discrepancy and not pair_tables() else [],
    )
