"""Publish a mixture of policies as a policy, to be sampled, evaluated and imitated as any other."""

from pathlib import Path

from pydantic import Field, Json

from online_il.config.mixture import MixtureExpert
from online_il.experts.opening import publish_mixture
from online_il.layout import step
from online_il.models import newest_step
from online_il.program.cli import main
from online_il.provenance import file_hash
from online_il.training.publish import PolicyOptions, record_start


class Options(PolicyOptions):
    settings: Json[MixtureExpert] = Field(description="settings of the mixture, JSON")
    policies: Json[dict[str, Path]] = Field(description="folder of each policy by name, JSON")


def run(options: Options) -> None:
    options.record.unlink(missing_ok=True)
    policies = {name: newest_step(folder) for name, folder in options.policies.items()}
    publish_mixture(options.settings, policies, step(options.checkpoints))
    record_start(
        options,
        method="mixture",
        settings=options.settings.model_dump(mode="json"),
        rows=[],
        prompts_hash=file_hash(options.prompts),
    )


if __name__ == "__main__":
    main(run, Options, __doc__)
