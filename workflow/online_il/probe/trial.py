"""What the checks of a probe are given, and the policies that they try."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from online_il.config.generation import Generation
from online_il.config.study import Study
from online_il.layout import step


@dataclass
class Trial:
    """One probe; its checks share the engine that one of them opened."""

    study: Study
    results: Path
    """Folder of the study's results."""
    model: Path
    """Folder of the small model that is tried."""
    work: Path
    """Folder for what the probe writes."""
    gpus: int = 0
    """GPUs that it asked for."""
    launch: str = "python"
    """What starts a training on so many GPUs, as the study's rules do."""
    launch_one: str = "python"
    """What starts one on a single GPU."""
    opened: Any = None
    loaded: int | None = None
    """Number of the policy in the engine; None where nobody knows."""

    @property
    def on_gpu(self) -> bool:
        """Whether the study runs on GPUs."""
        return self.study.hardware == "gpu"

    def policy(self, number: int) -> Path:
        """Give the folder of one of the two policies that are tried."""
        return step(self.work / "policies", number)

    @property
    def generation(self) -> Generation:
        """The study's engine, with room on the GPU for the check's own model."""
        settings = self.study.generation
        most = {
            "batch_size": min(64, settings.batch_size),
            "memory_share": min(0.5, settings.memory_share),
        }
        return settings.model_copy(update=most)

    def engine(self, number: int) -> Any:
        """Give the study's engine with one of the policies in it; opens it at the first call."""
        from online_il.generation.engines import open_engine

        if self.opened is None:
            self.opened, self.loaded = open_engine(self.generation), None
        if self.loaded != number:  # vLLM may have to start anew for it.
            self.opened.load(self.policy(number))
            self.loaded = number
        return self.opened
