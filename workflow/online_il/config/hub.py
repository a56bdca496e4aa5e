"""What is read from the Hugging Face hub: models and data sets, each pinned by its revision."""

from pydantic import Field

from online_il.config.settings import Settings

REPO = r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$"
REVISION = r"^[0-9a-f]{40}$"


class Model(Settings):
    """A pretrained model."""

    repo: str = Field(pattern=REPO, description="Name on the hub, owner/name.")
    revision: str = Field(pattern=REVISION, description="Commit on the hub, 40 hexadecimal digits.")
    folder: str | None = Field(None, description="A local copy that is used in the hub's place.")


class Tokenizer(Model):
    """The tokenizer of a model, whose weights are not needed."""


class DataSet(Settings):
    """Rows of a data set: some files of a repository on the hub."""

    repo: str = Field(pattern=REPO, description="Name on the hub, owner/name.")
    revision: str = Field(pattern=REVISION, description="Commit on the hub, 40 hexadecimal digits.")
    files: str = Field(description="Which files of the repository hold the rows, a glob pattern.")
    folder: str | None = Field(None, description="A local copy that is used in the hub's place.")
