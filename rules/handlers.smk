# What is done before the first job and after the last one: what a finished study, or a failed one, says
# in the terminal. All of it is here, because Snakemake keeps only the last handler of a kind.

from online_il.claims.board import show
from online_il.program.follower import FINISHED, Follower

FOLLOWER = Follower(LAYOUT.results, STUDY.tracker)


onstart:
    check()
    forget_probe()
    if not only_says(workflow.dag):
        FOLLOWER.start()


onsuccess:
    if is_probe():
        tell_probe()
    elif not only_says(workflow.dag):
        from online_il.report.summary import (
            summary_of_named,
        )  # Here, for every job reads this file.

        print(summary_of_named(LAYOUT.results), end="")
        show(LAYOUT.results, workflow.cores)
    FOLLOWER.stop(FINISHED)  # Last, for its last look takes a while on a busy machine.


onerror:
    FOLLOWER.stop()
    if PLAINLY.stopped_by:
        print(
            f"stopped by {PLAINLY.stopped_by}; the same command goes on ({LAYOUT.results})",
            file=sys.stderr,
        )
    elif is_probe():
        tell_probe()
    else:
        say_how_to_see_what_exists()


include: "named.smk"
