"""Settings of the fine-tuning of a pretrained base."""

from collections.abc import Iterator

from pydantic import Field

from online_il.config.hub import DataSet
from online_il.config.partial import spared
from online_il.config.problem import Problem, indivisible
from online_il.config.settings import Settings


class Traces(Settings):
    """Traces of an imperfect searcher in English, drawn from the task's own instances."""

    solve_probability: float = Field(
        ge=0, le=1, description="Probability that an attempt of the searcher is a solving one."
    )
    continue_probability: float = Field(
        ge=0, le=1, description="Probability that the searcher goes on after a failed attempt."
    )
    max_attempts: int = Field(gt=0, description="Attempts after which the searcher answers anyway.")
    practice_fraction: float = Field(
        ge=0, le=1, description="Share of the sequences that teach arithmetic and checks alone."
    )
    practice_attempts: int = Field(gt=0, description="Attempts of such a sequence.")


class Finetuning(Settings):
    """Supervised fine-tuning of a pretrained base on solved problems (paper, D.2: OpenR1)."""

    dataset: DataSet | None = Field(
        None, description="Rows with `messages`: a question and a solution."
    )
    traces: Traces | None = Field(
        None, description="Traces of a searcher in the place of a data set, for data in English."
    )
    updates: int = Field(gt=0, description="Optimizer updates.")
    batch_size: int = Field(gt=0, description="Sequences an update.")
    micro_batch_size: int = Field(gt=0, description="Sequences a forward pass, on each device.")
    learning_rate: float = Field(gt=0, description="Constant learning rate of AdamW.")
    max_length: int = Field(gt=0, description="Longest sequence, tokens; longer rows are left out.")
    max_grad_norm: float = Field(gt=0, description="Gradient norm above which gradients shrink.")

    @property
    def update_size(self) -> int:
        """Sequences that one optimizer update learns from."""
        return self.batch_size

    def problems(self) -> Iterator[Problem]:
        yield from self._division_problems()
        yield from self._source_problems()

    @spared
    def _division_problems(self) -> Iterator[Problem]:
        yield from indivisible(self.batch_size, self.micro_batch_size)

    @spared
    def _source_problems(self) -> Iterator[Problem]:
        given = [key for key in ("dataset", "traces") if getattr(self, key) is not None]
        if len(given) == 1:
            return
        message = "two things to learn from" if given else "nothing to learn from"
        yield Problem(("traces",), self.given("traces"), message, "give one of dataset and traces")
