"""What was said over the wire and what people saw, kept for tests and for the demo."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.localdiscord.clock import WorldClock
from bot.localdiscord.events import Event

Json = dict[str, Any]

MOST_KEPT = 20_000
"""Entries of each kind that are kept; the oldest go first."""


@dataclass(frozen=True)
class Exchange:
    """One REST call, as it was on the wire."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    status: int
    response: bytes
    harmed: bool = False
    """A test had asked for what became of it."""


@dataclass(frozen=True)
class Dispatch:
    """One event as a gateway session was sent it."""

    event: str
    data: Json
    application_id: int


@dataclass(frozen=True)
class Line:
    """One line of the transcript."""

    at: datetime
    channel: str
    who: str
    what: str

    def __str__(self) -> str:
        return f"#{self.channel} {self.who}: {self.what}"


class Transcript(list[Line]):
    """What happened in the channels, readable."""

    def __init__(self, clock: WorldClock) -> None:
        super().__init__()
        self._clock = clock

    def say(self, channel: str, who: str, what: str) -> None:
        keep(self, Line(self._clock.now(), channel, who, what))

    def hear(self, event: Event) -> None:
        """Write down what an event means to those who read the channel."""
        message = event.message
        if message is None or event.name not in _VERBS:
            return
        seen = "… is thinking" if message.loading else message.text
        files = "".join(f" [{item.filename}]" for item in message.attachments)
        private = " (only for one)" if message.ephemeral_for is not None else ""
        self.say(message.channel.name, message.author_name, f"{_VERBS[event.name]}{seen}{files}{private}")


_VERBS = {"MESSAGE_CREATE": "", "MESSAGE_UPDATE": "(changed) ", "MESSAGE_DELETE": "(deleted) "}


def keep(entries: list[Any], entry: object) -> None:
    """Append, and forget the oldest tenth when there are too many."""
    entries.append(entry)
    if len(entries) > MOST_KEPT:
        del entries[: MOST_KEPT // 10]
