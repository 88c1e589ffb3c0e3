"""Buttons that survive restarts: all they need stands in their custom id, and any bot process can answer them."""

import re
from typing import Any, Self, cast

import discord

from bot.client import Interaction
from bot.tree import guarded


class Press(discord.ui.DynamicItem[discord.ui.Button[Any]], template=r"(?!)"):
    """A button of a message. A subclass names its `template`, with a group `key`, and says what a press does; `match` has its other groups.

    `template` is a regular expression for the custom ids that `bot.messages` gives; this class itself matches none.
    """

    def __init__(self, item: discord.ui.Button[Any], match: re.Match[str]) -> None:
        super().__init__(item)
        self.match = match
        self.key = match["key"]

    @classmethod
    async def from_custom_id(cls, _: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str], /) -> Self:
        """Made anew for each press."""
        return cls(cast("discord.ui.Button[Any]", item), match)  # only buttons have these ids

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Errors end where those of commands do."""
        await guarded(interaction, self.press(interaction))

    async def press(self, interaction: Interaction) -> None:
        """What it does."""
        raise NotImplementedError
