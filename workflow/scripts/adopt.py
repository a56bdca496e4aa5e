"""Take a model as it is for the base of a task: step 0 of every run that starts from it."""

from pathlib import Path

from pydantic import Field, Json

from online_il.config.bases import PackageBase, Pretrained, RandomBase
from online_il.layout import step
from online_il.program.cli import main
from online_il.provenance import file_hash
from online_il.training.publish import PolicyOptions, publish_base


class Options(PolicyOptions):
    settings: Json[Pretrained | PackageBase | RandomBase] = Field(
        description="settings of the base, JSON"
    )
    place: str | None = Field(None, description="where it came from: its folder, or its wheel")
    model: Path = Field(description="the model's folder")


def run(options: Options) -> None:
    publish_base(
        options,
        source=step(options.model),
        method="pretrained",
        settings=options.settings.model_dump(mode="json", exclude={"folder", "wheel"})
        | ({"place": options.place} if options.place else {}),
        rows=[],
        prompts_hash=file_hash(options.prompts),
    )


if __name__ == "__main__":
    main(run, Options, __doc__)
