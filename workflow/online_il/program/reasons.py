"""Says, before anything is started, why something that is finished would be made again."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import Any

from online_il.program.accepted import MADE_AGAIN, Ledger, code_of, code_of_state
from online_il.program.dag import TRAINING, policies_in_words
from online_il.program.finished import changed_inputs
from online_il.provenance import same_code

HASH = re.compile(r"'?([a-z0-9]+:)?([0-9a-f]{16}|[0-9a-f]{64})'?")
"""A setting that is the hash of something: of a file, a folder or a text."""


def reasons(dag: Any, ledger: Ledger) -> list[str]:
    """Write one line for each rule and reason: what changed, and for which jobs."""
    persistence = dag.workflow.persistence
    found: dict[tuple[str, str], list[str]] = {}
    moved: dict[tuple[str, str], tuple[set[str], list[str]]] = {}
    following: Counter[str] = Counter()
    for job in dag.needrun_jobs():
        if not job.output:
            continue
        there, why, inputs = _compared(persistence, job, ledger)
        for text in why:
            found.setdefault((job.rule.name, text), []).append(_name(job))
        for what, files in inputs.items():
            gathered, jobs = moved.setdefault((job.rule.name, what), (set(), []))
            gathered.update(files)
            jobs.append(_name(job))
        if there and not why and not inputs:
            following[job.rule.name] += 1
    lines = [f"  {text} ({_listed(jobs)})" for (_, text), jobs in found.items()]
    for (rule, what), (files, jobs) in moved.items():
        lines.append(f"  inputs of {rule} {what}: {_listed(sorted(files), 3)} ({_listed(jobs)})")
    if lines and following:
        follows = ", ".join(f"{rule} ({count})" for rule, count in sorted(following.items()))
        lines.append(f"  what follows from that: {follows}")
    return lines


def explain(dag: Any, ledger: Ledger) -> None:
    """Say what of all that is finished would be made again, and why."""
    from snakemake.logging import logger  # type: ignore[import-untyped]

    lines = reasons(dag, ledger)
    if any(line.startswith("  code of ") for line in lines):
        lines.append(
            "  a change of code that is harmless: `--config accept_code=<rule>` goes on from"
        )
        lines.append("  what is there; without it, what was begun is set aside (docs/resuming.md)")
    if lines:
        trains = [job for job in dag.needrun_jobs() if job.rule.name in TRAINING]
        which = f"{policies_in_words(trains)} and no other" if trains else "no"
        logger.info("\n".join([MADE_AGAIN, f"  (trained: {which} policy)", *lines]))


def changes(persistence: Any, job: Any, ledger: Ledger) -> list[str]:
    """List what differs of a job from what its results or its beginning were made of."""
    _, why, inputs = _compared(persistence, job, ledger)
    listed = (f"{what}: {_listed(sorted(files), 3)}" for what, files in inputs.items())
    return [*why, *(f"inputs of {job.rule.name} {text}" for text in listed)]


def _compared(
    persistence: Any, job: Any, ledger: Ledger
) -> tuple[bool, list[str], dict[str, set[str]]]:
    """Tell whether results of a job are there, what of it changed, and which inputs did."""
    made = [output for output in job.output if persistence.metadata(output) is not None]
    there = [output for output in made if Path(output).exists()]
    if not there:
        return False, list(_begun(job, ledger)), {}
    inputs = _inputs(persistence, job, there[0])
    return True, list(_changes(persistence, job, there[0], ledger, inputs)), inputs


def _changes(
    persistence: Any, job: Any, output: Any, ledger: Ledger, inputs: Mapping[str, set[str]]
) -> Iterator[str]:
    rule = job.rule.name
    moved = inputs.get("new", set()) | inputs.get("gone", set())
    if not code_of(persistence.params(output) or []) and rule in ledger.programs:
        yield f"{rule} was made by an older version, which recorded less"
        return
    old, new = (_named(params) for params in (persistence.params(output), persistence._params(job)))
    for name in sorted(old.keys() | new.keys()):
        before, now = old.get(name, ""), new.get(name, "")
        if before == now:
            continue
        if name == "code":
            before, now = code_of([f"code={before}"]), code_of([f"code={now}"])
            if before not in same_code(now):
                yield _code_changed(rule, before, ledger)
        elif not names_inputs(before, now, moved):
            yield f"settings of {rule}: {_setting(name, before, now)}"
    if persistence._code_changed(job, file=output):
        yield f"how {rule} calls its program changed"


def _inputs(persistence: Any, job: Any, output: Any) -> dict[str, set[str]]:
    """Find which inputs a job has that its output was not made from, or the other way round."""
    read, reads = set(persistence.input(output) or []), set(map(str, persistence._input(job)))
    other = set(changed_inputs(persistence, job, output))
    kinds = {"new": reads - read, "gone": read - reads, "with other content": other}
    return {what: files for what, files in kinds.items() if files}


def names_inputs(before: str, now: str, moved: set[str]) -> bool:
    """Tell whether a setting differs in inputs that came or went, which are listed themselves."""
    old, new = (set(re.findall(r"[^\s,'\"\\[\]{}]+", text)) for text in (before, now))
    paths = [word for word in old ^ new if "/" in word]
    return bool(paths) and all(
        any(f"{path}/".startswith(f"{file}/") or f"/{file}".endswith(f"/{path}") for file in moved)
        for path in paths
    )


def _code_changed(rule: str, before: str, ledger: Ledger) -> str:
    differing = ledger.differences(before, ledger.programs[rule][2])
    if differing is None:
        return f"code of {rule} changed (it was not recorded which modules it had)"
    return f"code of {rule}: {', '.join(differing)} changed"


def _begun(job: Any, ledger: Ledger) -> Iterator[str]:
    """Name what was begun with other code and is not finished."""
    state = getattr(job.params, "state", None)
    if state is None or job.rule.name not in ledger.programs:
        return
    before, now = code_of_state(Path(state)), ledger.programs[job.rule.name][1]
    if before and before != now and before not in same_code(now):
        yield f"{_code_changed(job.rule.name, before, ledger)} since it was begun"


def _named(params: Any) -> dict[str, str]:
    pairs = (param.partition("=") for param in params or [])
    return {name: value for name, _, value in pairs}


def _setting(name: str, before: str, now: str) -> str:
    """Say how a setting differs; of settings that are JSON, name the keys that do.

    Of a hash, which says nothing to a person, the name of what it is of.
    """
    if HASH.fullmatch(before) and HASH.fullmatch(now):
        return f"{name} changed"
    try:
        old, new = json.loads(ast.literal_eval(before)), json.loads(ast.literal_eval(now))
    except (ValueError, SyntaxError, TypeError):
        old, new = None, None
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return f"{name} was {_part(before, now)}, is {_part(now, before)}"
    keys = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    pairs = [(key, str(old.get(key)), str(new.get(key))) for key in keys]
    return "; ".join(
        f"{key} was {_part(was, now)}, is {_part(now, was)}" for key, was, now in pairs
    )


def _part(value: str, other: str) -> str:
    """Give a value, or of a long one what begins a little before it differs from the other."""
    if len(value) <= 80 and len(other) <= 80:
        return value or "absent"
    same = takewhile(lambda pair: pair[0] == pair[1], zip(value, other, strict=False))
    start = max(0, sum(1 for _ in same) - 20)
    return ("…" if start else "") + value[start : start + 80] + ("…" * (len(value) > start + 80))


def _name(job: Any) -> str:
    wildcards = job.wildcards_dict
    seed = f"seed {wildcards['seed']}" if "seed" in wildcards else ""
    return " ".join([*(v for k, v in wildcards.items() if k != "seed"), seed]).strip()


def _listed(jobs: list[str], most: int = 6) -> str:
    names = [name for name in jobs if name]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    shown = ", ".join(names[:most]) + more
    return shown or "one job"
