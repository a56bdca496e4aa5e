"""Write a study's evaluations as lm-evaluation-harness writes its own, for tools that read those.

A folder a checkpoint, with results_<date>.json and samples_<benchmark>_<date>.jsonl.
"""

from pathlib import Path

from pydantic import Field

from online_il.errors import ParameterError
from online_il.harness_files import write
from online_il.layout import Layout, Policy
from online_il.program.cli import ProgramOptions, log, main


class Options(ProgramOptions):
    results: Path = Field(description="results of the study")
    policies: str | None = Field(
        None, description="<task>/<run>/seed<k>, with commas between; all that are there without it"
    )
    code: str | None = Field(None, description="hash of the code; a change of it reruns the rule")
    output: Path = Field(description="folder to write")


def run(options: Options) -> None:
    policies = Layout(options.results).existing_policies()
    if options.policies is not None:
        try:
            policies = [Policy.named(name) for name in options.policies.split(",")]
        except ValueError:
            raise ParameterError(
                f"--policies {options.policies}: write <task>/<run>/seed<k>, with commas between"
            ) from None
    count = write(options.results, policies, options.output)
    log("written", evaluations=count, folder=options.output)


if __name__ == "__main__":
    main(run, Options, __doc__)
