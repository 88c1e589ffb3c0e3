"""The receipt: what was forgotten, as a person reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

BEYOND = (
    "Out of reach: backups and exports that somebody has copied elsewhere (a backup that is restored from there is rid of it again), and "
    "what people have copied out of a channel. Mynah itself puts nothing onto a model hub."
)


@dataclass(frozen=True)
class Receipt:
    """What was deleted, and what is still to be."""

    id: int
    """For people to name it."""
    name: str
    """Who was forgotten: `@nasa`, or `you`. Kept nowhere."""
    numbers: Mapping[str, int]
    """How many of what, as in `storage.erasing.Found`; also exports, and copies that are rid of it."""
    due: int
    """Messages that are still to be deleted at Discord, in the background."""
    gone: int
    unreachable: int
    """Messages in channels that are closed to the bot."""
    unclean: tuple[str, ...] = ()
    """Copies that could not be changed, and folders of exports that hold something else, too: paths."""
    again: str | None = None
    """Why something could not be done yet; it is tried again by itself."""

    @property
    def lines(self) -> list[str]:
        """Each kind of thing that went, one sentence a line."""
        count = self.numbers.get
        made = f"Trained versions: {count('models', 0)}. Collections of tweets: {count('corpora', 0)}. Schedules: {count('schedules', 0)}"
        told = [
            f"Characters: {count('characters', 0)}. {made}.",
            f"Trainings: {count('jobs', 0)}. Asked for and not begun: {count('requests', 0)}. Uploads: {count('uploads', 0)}.",
            f"Consents that people gave: {count('consents', 0)}. Reports: {count('reports', 0)}.",
            self._posts(),
            f"Copies of the database and backups that are rid of it: {count('copies', 0)}. Exports: {count('exports', 0)}.",
        ]
        if count("retired"):
            told.insert(1, f"Mash-ups that learned from it among others: {count('retired')}, silent until they are trained again.")
        if self.unclean:
            told.append(f"Could not be changed, so remove them yourself: {', '.join(self.unclean)}.")
        if self.again:
            told.append(f"Not done yet, and tried again by itself: {self.again}")
        return [*told, BEYOND]

    def _posts(self) -> str:
        posts, all_ = self.numbers.get("posts", 0), self.due + self.gone + self.unreachable
        sentence = f"Posts and other messages: {posts}. At Discord {self.gone} of {all_} are deleted"
        if self.due:
            sentence += f", {self.due} more in the background"
        if self.unreachable:
            sentence += f", and {self.unreachable} are out of reach, since Mynah may not delete in their channel"
        return sentence + "."
