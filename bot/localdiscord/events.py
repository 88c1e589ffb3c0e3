"""What happens in the World, told to whoever listens: the gateway, people who wait, later the page."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bot.localdiscord.messages import Message
from bot.localdiscord.objects import Channel, Guild

Json = dict[str, Any]


@dataclass(frozen=True)
class Event:
    """One thing that happened, under the gateway's name for it."""

    name: str
    """Such as MESSAGE_CREATE."""
    data: Json
    """The payload that a client allowed to see everything gets."""
    guild: Guild | None = None
    channel: Channel | None = None
    message: Message | None = None
    application_id: int | None = None
    """Only this application is told; None = whoever may know."""


class Events:
    """Passes each event to every listener, in order."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Event], None]] = []

    def emit(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def listen(self, listener: Callable[[Event], None]) -> Callable[[], None]:
        """Call `listener` for every event from now on. Returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def subscribe(self) -> Iterator[asyncio.Queue[Event]]:
        """A queue that fills with every event while the block lasts."""
        queue: asyncio.Queue[Event] = asyncio.Queue()
        stop = self.listen(queue.put_nowait)
        try:
            yield queue
        finally:
            stop()
