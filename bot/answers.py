"""What is found out about characters and their posts, before it is put into words."""

from dataclasses import dataclass

from storage.characters import Character
from storage.corpora import Corpus
from storage.models import Model
from storage.posts import Post


@dataclass(frozen=True)
class Info:
    """What there is to know about a character; model and corpus are None until one is trained."""

    character: Character
    model: Model | None
    corpus: Corpus | None
    versions: int


@dataclass(frozen=True)
class Why:
    """Where a post comes from."""

    post: Post
    character: Character
    model: Model
    nearest: str | None
    """The real tweet that is most like it."""
    overlap: float
    """Share of the post that also stands in that tweet, 0 to 1."""
    dropped: tuple[tuple[str, str], ...]
    """(text, reason) of the candidates that were not taken."""


@dataclass(frozen=True)
class Deleted:
    """What went with a character."""

    handle: str
    name: str
    models: int
    schedules: int
