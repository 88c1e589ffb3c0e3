"""The command tree: what holds for every command, and the one place where errors of commands and buttons end."""

import secrets
from collections.abc import Awaitable
from typing import Any

import discord
import structlog
from discord import app_commands

from bot.errors import MynahError

INTERACTION_GONE = (10062, 10015, 50027, 40060)
"""Discord's codes for: answered too late, the token is dead, answered already."""

log = structlog.get_logger("mynah.tree")


class MynahTree(app_commands.CommandTree[Any]):
    """Mynah's commands."""

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        """Every error of a command ends here."""
        await _report(interaction, error)


async def guarded(interaction: discord.Interaction[Any], press: Awaitable[None]) -> None:
    """Run what a button does; its errors end where those of commands do, while discord.py would only log them."""
    try:
        await press
    except Exception as error:  # noqa: BLE001 - the one handler of everything, told to the person and logged with an id
        await _report(interaction, error)


async def _report(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Tell the person what went wrong, whether the interaction was acknowledged yet or not. The cases, in order:

    1. a MynahError: its sentence
    2. Discord sent a command that is not ours any more: reload
    3. the interaction cannot be answered any more: the log only
    4. anything else: an id that stands in the log too
    """
    cause = error.__cause__ if isinstance(error, app_commands.CommandInvokeError | app_commands.TransformerError) else error
    match cause:
        case MynahError():
            sentence = str(cause) or cause.__doc__ or ""
        case app_commands.CommandNotFound() | app_commands.CommandSignatureMismatch():
            sentence = "This command has changed: reload Discord (Ctrl+R) and try again."
        case discord.HTTPException() if cause.code in INTERACTION_GONE:
            log.warning("an interaction could not be answered any more", interaction=interaction.id, code=cause.code)
            return
        case _:
            number = secrets.token_hex(4)
            log.error("a command failed", id=number, interaction=interaction.id, guild=interaction.guild_id, exc_info=cause or error)
            sentence = f"Something went wrong (id {number}): the operator of this bot finds it in the log under that id."
    await _tell(interaction, sentence)


async def _tell(interaction: discord.Interaction[Any], sentence: str) -> None:
    nobody = discord.AllowedMentions.none()
    try:
        if interaction.response.type is discord.InteractionResponseType.deferred_channel_message:
            # The person looks at "thinking…": that becomes the sentence.
            await interaction.edit_original_response(content=sentence, view=None, allowed_mentions=nobody)
        elif interaction.response.is_done():
            await interaction.followup.send(sentence, ephemeral=True, allowed_mentions=nobody)
        else:
            await interaction.response.send_message(sentence, ephemeral=True, allowed_mentions=nobody)
    except discord.HTTPException as error:
        log.warning("nobody could be told", interaction=interaction.id, sentence=sentence, reason=error.text)
