"""What a training is asked for with, before it is a job: whose tweets, from where, and what to make of them."""

from dataclasses import dataclass
from typing import Literal

Basis = Literal["own", "agreed", "public", "operator"]
"""What entitles to train: it is their own account · its owner agreed · it is an organisation, a bot or a fictional character · said at
the shell without more."""


@dataclass(frozen=True)
class Material:
    """Where the tweets of one account come from."""

    handle: str
    """Whose: no @, lower case."""
    source: Literal["file", "x", "bluesky", "mastodon"]
    path: str
    """The file with them, in the folder of the job's `source_path`, or absolute; what is fetched is written there first."""
    file_name: str
    """For people: as it was uploaded, or such as `@nasa on X`."""
    name: str | None = None
    """Display name, once the source has told it."""
    avatar_url: str | None = None
    """The account's picture, once the source has told it."""


@dataclass(frozen=True)
class Training:
    """What is asked for, whoever asks and wherever."""

    handle: str
    """Of the character; of a mash-up the handles with + between them."""
    materials: tuple[Material, ...]
    """One, or two or three for a mash-up."""
    source_path: str
    """Absolute: the first material's file, in the folder in which those of the others are too where their paths are relative."""
    base: str
    base_name: str
    seed: int
    preset: str = "default"
    multilingual: str | None = None
    """Name of the base to take instead when the tweets are not English."""

    @property
    def handles(self) -> tuple[str, ...]:
        """Whose tweets."""
        return tuple(material.handle for material in self.materials)
