"""Interactions: one use of a command, a component or a modal, and what has become of it."""

from dataclasses import dataclass, field
from typing import Any

from bot.localdiscord.commands import Command
from bot.localdiscord.messages import Message
from bot.localdiscord.objects import Application, Channel, User

Json = dict[str, Any]

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
"""What a person did: Discord's interaction types."""
REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
"""How a bot answers: Discord's callback types."""

CHANGED = "local.interaction"
"""The event that tells people, never bots, that an interaction was answered or failed."""


@dataclass(eq=False)
class Interaction:
    """One use of a command, component or modal, and what became of it."""

    id: int
    token: str
    kind: int
    application: Application
    user: User
    channel: Channel
    opened_at: float
    data: Json
    command: Command | None = None
    source: Message | None = None
    """The message whose component was used, as it was then."""
    parent: "Interaction | None" = None
    """What opened the modal that this one submits."""
    answered_with: int | None = None
    failed: bool = False
    """Nobody answered within three seconds."""
    original_id: int | None = None
    followup_ids: list[int] = field(default_factory=list)
    defer_open: bool = False
    """Deferred, and the loading message still waits for its text."""
    choices: list[Json] | None = None
    modal: Json | None = None

    @property
    def original(self) -> Message | None:
        return None if self.original_id is None else self.channel.messages.get(self.original_id)

    @property
    def owners(self) -> dict[str, str]:
        """Who authorised the application here: the server ("0"), the user ("1"), or both."""
        guild = self.channel.guild
        found: dict[str, str] = {}
        if guild is None:
            found["0"] = "0"
        elif self.application.id in guild.members:
            found["0"] = str(guild.id)
        if self.user.id in self.application.installed_by:
            found["1"] = str(self.user.id)
        return found
