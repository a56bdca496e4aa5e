"""Settings of benchmarks that data of any kind may have, and of how many rows of each are asked.

What a language model knew before, and how it reads English: neither belongs to a task's own data.
"""

from typing import Annotated

from pydantic import Field

from online_il.config.settings import Settings


class Knowledge(Settings):
    """Capitals and currencies of countries, as sentences that one of four words ends."""

    seed: int = Field(ge=0, description="Seed of the wrong choices and of the order of all four.")


class Prose(Settings):
    """Passages of a text, whose likelihood is read: the perplexity of English."""

    file: str | None = Field(
        None,
        description="Plain text, UTF-8; when left out, chapters of a novel that come with this.",
    )
    words: int = Field(128, gt=0, description="Words of a passage.")
    context: int = Field(
        32, gt=0, description="Words before it that are read with it, and do not count."
    )


class Benchmarked(Settings):
    """Base of the data whose benchmarks are read from files."""

    knowledge: Knowledge | None = Field(
        None, description="The benchmark knowledge; there is none when left out."
    )
    prose: Prose | None = Field(
        None, description="The benchmark prose; there is none when left out."
    )
    rows: dict[str, Annotated[int, Field(gt=1)]] = Field(
        {},
        description="How many prompts of a benchmark are asked, by its name; all when left out. "
        "They are drawn, and have the names that they have among all.",
    )
    rows_seed: int = Field(0, ge=0, description="Seed of the prompts that `rows` draws.")
