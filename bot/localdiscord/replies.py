"""What a person gets back: a reply that may still be on its way, choices, a modal to fill in."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.localdiscord.interactions import CHANGED, DEFER_UPDATE, Interaction
from bot.localdiscord.messages import Message
from bot.localdiscord.modals import Modal

if TYPE_CHECKING:
    from bot.localdiscord.world import World

DID_NOT_RESPOND = "The application did not respond"


class NoReply(Exception):
    """The bot did not answer in time, or took its answer back."""


@dataclass(frozen=True)
class Choice:
    """One line of an autocompletion."""

    name: str
    value: str | int | float


class Reply:
    """The answer to something a person did, as it stands now and as it will."""

    def __init__(self, world: "World", interaction: Interaction) -> None:
        self._world = world
        self.interaction = interaction

    @property
    def message(self) -> Message | None:
        """The answer as it is now; None before there is one, and when it was deleted."""
        return self.interaction.original

    @property
    def followups(self) -> list[Message]:
        messages = self.interaction.channel.messages
        return [messages[key] for key in self.interaction.followup_ids if key in messages]

    @property
    def ephemeral(self) -> bool:
        return self.message is not None and self.message.ephemeral

    @property
    def acknowledged(self) -> bool:
        return self.interaction.answered_with is not None

    @property
    def failed(self) -> str | None:
        """What the client shows in red, or None."""
        return DID_NOT_RESPOND if self.interaction.failed else None

    @property
    def modal(self) -> Modal | None:
        body = self.interaction.modal
        return None if body is None else Modal(self.interaction, body["title"], body["custom_id"], tuple(body["components"]))

    async def done(self, timeout: float = 10) -> Message:  # noqa: ASYNC109 - part of the contract
        """The first state that is not loading. `timeout` is in seconds of real time.

        Raises:
            NoReply: the application did not respond, opened a modal, or deleted its answer.
            TimeoutError: it is still thinking.
        """
        await self._until(lambda: self._settled, timeout, "the reply")
        message = self.message
        if message is None:
            raise NoReply(self.failed or ("The answer was a modal" if self.modal else "The answer was deleted"))
        return message

    async def opened(self, timeout: float = 10) -> Modal:  # noqa: ASYNC109 - part of the contract
        """The modal that the bot opens.

        Raises:
            NoReply: it answered otherwise, or not at all.
            TimeoutError: nothing yet.
        """
        await self._until(lambda: self.acknowledged or self.failed is not None, timeout, "the modal")
        modal = self.modal
        if modal is None:
            raise NoReply(self.failed or "The answer was no modal")
        return modal

    async def choices(self, timeout: float = 10) -> list[Choice]:  # noqa: ASYNC109 - part of the contract
        """The lines of an autocompletion."""
        await self._until(lambda: self.acknowledged or self.failed is not None, timeout, "the choices")
        if self.interaction.choices is None:
            raise NoReply("Loading options failed")
        return [Choice(item["name"], item["value"]) for item in self.interaction.choices]

    @property
    def _settled(self) -> bool:
        if self.interaction.failed or self.modal is not None or self.interaction.answered_with == DEFER_UPDATE:
            return True
        return self.acknowledged and (self.message is None or not self.message.loading)

    async def _until(self, ready: Callable[[], bool], seconds: float, what: str) -> None:
        with self._world.events.subscribe() as events:
            try:
                async with asyncio.timeout(seconds):
                    while not ready():
                        event = await events.get()
                        while event.name != CHANGED:
                            event = await events.get()
            except TimeoutError:
                state = (
                    "no answer" if not self.acknowledged else f"acknowledged with type {self.interaction.answered_with}, now {self.message}"
                )
                raise TimeoutError(f"{what} did not come within {seconds:g} s: {state}") from None
