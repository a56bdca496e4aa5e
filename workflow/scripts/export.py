"""Write a policy of a study out as a model for others: plain transformers, or a hub.

The new folder has the weights, the tokenizer, a generation config that samples as the study
evaluated, and a model card with accuracies, sampling, data and hashes. The study is only read.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from online_il.export.folder import export
from online_il.export.published import published
from online_il.program.cli import POSITIONAL, ProgramOptions, main


class Options(ProgramOptions):
    results: Annotated[Path, POSITIONAL] = Field(description="results of the study")
    policy: Annotated[str, POSITIONAL] = Field(description="which one: <task>/<run>/seed<k>")
    output: Path = Field(description="folder to write; must not be there")
    step: int | None = Field(None, description="step of its training; the last when left out")


def run(options: Options) -> None:
    policy = published(options.results, options.policy, options.step)
    export(policy, options.output)
    told = "" if policy.evaluations else "; not evaluated yet, so that its card has no accuracy"
    print(f"written: {options.output}, {policy.policy}, step {policy.checkpoint.step}{told}")


if __name__ == "__main__":
    main(run, Options, __doc__)
