"""Gathers what the checks find: problems, each with its remedy, and notes."""

from dataclasses import dataclass, field


@dataclass
class Report:
    """Problems and notes, a line each, in the order in which they were found."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, where: str, message: str, remedy: str) -> None:
        """Add something because of which a job would fail, and what to do about it."""
        line = " ".join(f"{where}: {message}; {remedy}".split())
        if line not in self.problems:  # Tasks share models and data sets.
            self.problems.append(line)

    def text(self, title: str) -> str:
        """Write the whole report."""
        noun = "problem" if len(self.problems) == 1 else "problems"
        head = (
            f"{len(self.problems)} {noun}; nothing was started" if self.problems else "no problem"
        )
        lines = [f"preflight of {title}: {head}", *(f"  {line}" for line in self.problems)]
        return "\n".join([*lines, *(f"  note: {line}" for line in self.notes)]) + "\n"
