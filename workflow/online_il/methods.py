"""The methods that train a policy, a row each; everything that names methods reads this table.

Programs that train import the settings class of their own method and never this table, so that a
new method, or another row, retrains nothing of the others. docs/adding.md says how to add one.
"""

from dataclasses import dataclass
from typing import Literal

from online_il.config.distill import Distill
from online_il.config.grpo import Grpo
from online_il.config.settings import Settings
from online_il.config.sft import Sft


@dataclass(frozen=True)
class Method:
    """One way to train a policy; its rule, its program and its keys in a config have its name."""

    name: str
    label: str
    """What texts call it."""
    settings: type[Settings]
    """What all runs of the method share in a config; has `checkpoints` and `micro_batch_size`."""
    learns_from: Literal["reward", "samples", "probabilities"]
    """reward: the task's, without an expert; samples: demonstrations that an expert gave before the
    training; probabilities: an expert's, token by token, so that it must have weights."""
    dash: tuple[int, ...]
    """Dashes and gaps of its lines in figures, pixels."""

    @property
    def on_policy(self) -> bool:
        """Whether the policy generates responses while it trains."""
        return self.learns_from != "samples"

    @property
    def needs_expert(self) -> bool:
        """Whether a run of the method imitates someone."""
        return self.learns_from != "reward"

    @property
    def memory_keys(self) -> tuple[str, ...]:
        """The keys of a config that say how much memory the training holds."""
        own = f"methods.{self.name}.micro_batch_size"
        return (own, "generation.batch_size") if self.on_policy else (own,)


# In the order of the legends.
_ROWS = (
    Method("grpo", "GRPO", Grpo, "reward", (8, 2, 2, 2)),
    Method("sft", "SFT", Sft, "samples", (1, 0)),
    Method("distill", "on-policy distillation", Distill, "probabilities", (5, 3)),
)
METHODS = {method.name: method for method in _ROWS}
