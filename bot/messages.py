"""A Discord message as plain data, so that the outbox can keep it and tests can read it.

Everything Mynah sends is one of these; `posting.py` turns it into a request, always with no mention allowed. What the messages *say* is
in this file too: one function per message, pure.
"""

from dataclasses import dataclass
from typing import Literal

CONTENT_LIMIT = 2000
"""Characters in one message (Discord)."""


@dataclass(frozen=True)
class Button:
    """A button that survives restarts: its id carries all it needs, such as `job:cancel:12`."""

    label: str
    custom_id: str
    style: Literal["primary", "secondary", "success", "danger"] = "secondary"


@dataclass(frozen=True)
class Persona:
    """Who a webhook message appears to be from. The name says that it is AI."""

    name: str
    avatar_url: str | None = None


@dataclass(frozen=True)
class Message:
    """One message. With a persona it goes through the channel's webhook."""

    content: str
    buttons: tuple[Button, ...] = ()
    persona: Persona | None = None
