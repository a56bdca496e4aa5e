"""Targets that nothing makes: the names that may be meant, in the place of an exception's name."""

from collections.abc import Iterable
from typing import Any

from snakemake.dag import DAG  # type: ignore[import-untyped]
from snakemake.exceptions import MissingRuleException, WorkflowError  # type: ignore[import-untyped]

from online_il.config.problem import closest

_FILE2JOBS = DAG.file2jobs


def name_what_may_be_meant(names: Iterable[str], config: str) -> None:
    """Let a target that no rule makes end in one line; `names` are those that people ask for."""
    known = sorted(names)

    async def file2jobs(self: Any, targetfile: Any, wildcards_dict: Any = None) -> Any:
        try:
            return await _FILE2JOBS(self, targetfile, wildcards_dict)
        except MissingRuleException:
            if str(targetfile) not in map(str, self.targetfiles):
                raise
            files = (
                str(one) for rule in self.rules for one in rule.output if not rule.has_wildcards()
            )
            raise WorkflowError(unknown(str(targetfile), known, files, config)) from None

    DAG.file2jobs = file2jobs


def unknown(target: str, names: list[str], files: Iterable[str], config: str) -> str:
    """Say that the study of `config` has no such target, and what may be meant."""
    meant = closest(target, names) or closest(target, files)
    return (
        f"{config}: this study has no target {target!r}; {meant}there are: {', '.join(names)}; "
        "or any file below results that a rule makes"
    )
