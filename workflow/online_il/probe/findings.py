"""What the probe finds, and how it is told."""

import textwrap
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["passed", "failed", "skipped"]
WIDTH = 100


class Finding(BaseModel):
    """What one check found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str = Field(description="Name of the check.")
    status: Status = Field(description="passed; failed; skipped: it could not be tried.")
    seconds: float = Field(description="What it took.")
    found: str = Field(description="What was found.")
    remedy: str = Field("", description="What to do; empty where nothing is.")

    def line(self) -> str:
        """Tell it as one or several lines of a terminal."""
        head = f"{self.status:<8} {self.check:<12} {self.seconds:5.1f} s  "
        text = f"{self.found}; {self.remedy}" if self.remedy else self.found
        return textwrap.fill(
            " ".join(text.split()),
            WIDTH,
            initial_indent=head,
            subsequent_indent=" " * len(head),
            break_long_words=False,
            break_on_hyphens=False,
        )


class ProbeRecord(BaseModel):
    """The report of a probe."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    study: str = Field(description="Name of the study.")
    hardware: str = Field(description="What the study is run on: cpu or gpu.")
    host: str = Field(description="Name of the machine that was tried.")
    started: str = Field(description="When it was tried (UTC).")
    complete: bool = Field(description="Whether all checks have been tried.")
    can_start: bool = Field(description="Whether they are complete and none failed.")
    findings: list[Finding] = Field(description="What each check found, in their order.")

    def text(self) -> str:
        """Write the whole report."""
        return "\n".join([*(finding.line() for finding in self.findings), self.verdict()]) + "\n"

    def verdict(self) -> str:
        """Say in one line whether the study can start on such a node."""
        where = f"{self.host}, {self.started}"
        failed = [finding.check for finding in self.findings if finding.status == "failed"]
        if failed:
            rest = "" if self.complete else ", and not all was tried"
            return (
                f"The study {self.study} cannot start here: {', '.join(failed)} failed{rest} "
                f"({where})."
            )
        if not self.complete:
            return f"The probe was stopped before all was tried ({where})."
        passed = sum(finding.status == "passed" for finding in self.findings)
        return f"The study {self.study} can start here: {passed} checks passed ({where})."


def unmet(needs: Sequence[str], findings: Sequence[Finding]) -> str | None:
    """Name the first of the checks that one needs which was tried and did not pass."""
    state = {finding.check: finding.status for finding in findings}
    return next((name for name in needs if state.get(name, "passed") != "passed"), None)
