"""Code that a person takes for the same as before: `--config accept_code=<rule>`.

What was finished with the code before stays, and what was begun with it goes on. It is written to
`results/<scale>/provenance/accepted.json` and holds until the code changes again; the versions that
every later result names tell of it.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from online_il.files import write_text
from online_il.layout import ASIDE, SEAL, Layout, existing_sealed
from online_il.provenance import ACCEPTED

MADE_AGAIN = "Made again, though there are results or a beginning of it:"
"""The line above the list of what is made again; the list's lines begin with two blanks."""
Acceptance = dict[str, Any]
"""`rule`, the hashes of its code `before` and `now`, the `modules` that differ, and `when`."""


class Ledger:
    """Knows which code made the results: the modules of each hash, and what was accepted.

    `programs` says for each rule the name of its script, its hash and its modules' hashes.
    """

    def __init__(
        self, results: Path, programs: Mapping[str, tuple[str, str, dict[str, str]]]
    ) -> None:
        self.layout, self.programs = Layout(results), programs
        listed = self.layout.accepted
        known = json.loads(listed.read_text()) if listed.is_file() else []
        self.acceptances: list[Acceptance] = known

    def modules(self, code: str) -> dict[str, str] | None:
        """Read the hash of each module of some code; None where it was never recorded."""
        path = self.layout.code(code)
        return json.loads(path.read_text())["modules"] if path.is_file() else None

    def differences(self, before: str, now: dict[str, str]) -> list[str] | None:
        """List the modules in which some code differs from the present one, None where unknown."""
        known = self.modules(before)
        if known is None:
            return None
        return sorted(name for name in known | now if known.get(name) != now.get(name))

    def accept(self, rules: Iterable[str]) -> None:
        """Take the code of some rules for what their results and their state were made with.

        `all` are all rules. Raises `ValueError` for a rule that is not there.
        """
        wanted = set(rules)
        if unknown := sorted(wanted - self.programs.keys() - {"all"}):
            raise ValueError(
                f"accept_code: there is no rule {', '.join(unknown)} with a program; "
                f"name some of all, {', '.join(sorted(self.programs))}"
            )
        for rule, (_, now, modules) in self.programs.items():
            if not wanted & {rule, "all"}:
                continue
            for before in sorted(set(self._made_with(rule)) - {now}):
                entry = {"rule": rule, "before": before, "now": now}
                if any(entry.items() <= known.items() for known in self.acceptances):
                    continue
                entry["modules"] = self.differences(before, modules)  # type: ignore[assignment]
                entry["when"] = datetime.now(UTC).isoformat(timespec="seconds")
                self.acceptances.append(entry)

    def tell_jobs(self) -> None:
        """Let this process and those that it starts know what is accepted."""
        os.environ[ACCEPTED] = json.dumps(self.acceptances)

    def write(self) -> None:
        """Record the present code, module by module, and what was accepted."""
        for program, code, modules in self.programs.values():
            path = self.layout.code(code)
            if not path.is_file():
                listed = {"program": program, "modules": modules}
                write_text(json.dumps(listed, indent=2) + "\n", path)
        if self.acceptances:
            write_text(json.dumps(self.acceptances, indent=2) + "\n", self.layout.accepted)

    def _made_with(self, rule: str) -> Iterator[str]:
        """Yield the hashes of the code that made the results and the unfinished state of a rule."""
        for path in self.layout.jobs.rglob("*"):
            record = json.loads(path.read_text()) if path.is_file() else {}
            if record.get("rule") == rule:
                yield code_of(record["params"] or [])
        for state in self.layout.existing_states():
            for begun in [state, *state.rglob("*.jsonl")]:
                if ASIDE in begun.name:
                    continue
                code = code_of_state(begun)
                path = self.layout.code(code)
                program = json.loads(path.read_text())["program"] if path.is_file() else None
                if program == self.programs[rule][0]:
                    yield code


def code_of(params: Iterable[str]) -> str:
    """Find the hash of the code among a job's recorded parameters; empty where there is none."""
    found = [param for param in params if param.startswith("code=")]
    return found[0].removeprefix("code=").strip("'") if found else ""


def code_of_state(state: Path) -> str:
    """Read the hash of the code that unfinished state was made with; empty where there is none."""
    try:
        if state.is_dir():
            seals = [path / SEAL for path in existing_sealed(state) if (path / SEAL).is_file()]
            # What is finished comes last; of an unfinished training the newest checkpoint does.
            return str(json.loads(seals[-1].read_text()).get("code", "")) if seals else ""
        with state.open("rb") as stream:
            return str(json.loads(stream.readline()).get("code", ""))
    except (OSError, ValueError, AttributeError):
        return ""
