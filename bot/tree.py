"""The command tree: what holds for every command, how each is answered once and surely, and where errors of commands and buttons end."""

import io
import secrets
from collections.abc import Awaitable
from typing import Any

import aiohttp
import discord
import structlog
from discord import app_commands

from bot.errors import MynahError
from bot.messages import Message
from bot.posting import edit_of
from storage.errors import StorageProblem

ALREADY_ACKNOWLEDGED = 40060
INTERACTION_GONE = (10062, 10015, 50027, ALREADY_ACKNOWLEDGED)
"""Discord's codes for: answered too late, the token is dead, answered already."""

TRIES = 3
"""Of a request whose connection broke; discord.py itself repeats those that Discord answers with 5xx."""
UNWELL = "Discord did not answer Mynah for a moment: look whether it was done, with /jobs list or in the channel, before you ask again."

log = structlog.get_logger("mynah.tree")


class Twice(Exception):
    """An interaction that is being answered already."""


class MynahTree(app_commands.CommandTree[Any]):
    """Mynah's commands."""

    async def on_error(self, interaction: discord.Interaction[Any], error: app_commands.AppCommandError, /) -> None:
        """Every error of a command ends here."""
        await _report(interaction, error)


async def acknowledge(interaction: discord.Interaction[Any], *, ephemeral: bool = False, thinking: bool = False) -> None:
    """Tell Discord, within its three seconds, that an answer will come. To be called first by whatever answers later.

    When the answer to the first try was lost, the second is told that the interaction is acknowledged already: then all is well.

    Raises:
        Twice: Discord has delivered an interaction that is being answered already.
    """
    if not interaction.client.first_time(interaction.id):
        raise Twice
    for left in reversed(range(TRIES)):
        try:
            await interaction.response.defer(ephemeral=ephemeral, thinking=thinking)
        except discord.HTTPException as error:
            if error.code != ALREADY_ACKNOWLEDGED:
                raise
            return
        except (aiohttp.ClientError, OSError):
            if not left:
                raise
        else:
            return


async def answer(
    interaction: discord.Interaction[Any], message: Message | str, *, file: tuple[str, bytes] | None = None
) -> discord.InteractionMessage:
    """Let the reply say this, with a file (name, content) where there is one. It may be repeated, so it is when the connection breaks."""
    fields: dict[str, Any] = {"content": message} if isinstance(message, str) else edit_of(message)
    for _ in range(TRIES - 1):
        try:
            return await interaction.edit_original_response(**fields, **_attached(file))
        except (aiohttp.ClientError, OSError):
            continue
    return await interaction.edit_original_response(**fields, **_attached(file))


def _attached(file: tuple[str, bytes] | None) -> dict[str, Any]:
    """Made anew for each try: discord.py reads a file once."""
    return {} if file is None else {"attachments": [discord.File(io.BytesIO(file[1]), filename=file[0])]}


async def guarded(interaction: discord.Interaction[Any], press: Awaitable[None]) -> None:
    """Run what a button does; its errors end where those of commands do, while discord.py would only log them."""
    try:
        await press
    except Exception as error:  # noqa: BLE001 - the one handler of everything, told to the person and logged with an id
        await _report(interaction, error)


async def _report(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Tell the person what went wrong, whether the interaction was acknowledged yet or not. The cases, in order:

    1. a MynahError, or a database that cannot be used now: its sentence
    2. Discord sent a command that is not ours any more: reload
    3. an interaction that was delivered twice, or cannot be answered any more: the log only
    4. Discord, or the way to it, failed: a line in the log
    5. anything else: an id that stands in the log too
    """
    cause = error.__cause__ if isinstance(error, app_commands.CommandInvokeError | app_commands.TransformerError) else error
    match cause:
        case MynahError() | StorageProblem():
            sentence = str(cause) or cause.__doc__ or ""
        case app_commands.CommandNotFound() | app_commands.CommandSignatureMismatch():
            sentence = "This command has changed: reload Discord (Ctrl+R) and try again."
        case Twice():
            log.info("an interaction was delivered twice: it is answered once", interaction=interaction.id)
            return
        case discord.HTTPException() if cause.code in INTERACTION_GONE:
            log.warning("an interaction could not be answered any more", interaction=interaction.id, code=cause.code)
            return
        case discord.HTTPException(status=status) if status == 429 or status >= 500:
            log.warning("Discord did not take an answer", interaction=interaction.id, status=status)
            sentence = UNWELL
        case aiohttp.ClientError():
            log.warning("Discord did not take an answer", interaction=interaction.id, reason=str(cause) or type(cause).__name__)
            sentence = UNWELL
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
            await _first_answer(interaction, sentence)
    except (discord.HTTPException, aiohttp.ClientError, OSError) as error:
        log.warning("nobody could be told", interaction=interaction.id, sentence=sentence, reason=str(error) or type(error).__name__)


async def _first_answer(interaction: discord.Interaction[Any], sentence: str) -> None:
    nobody = discord.AllowedMentions.none()
    try:
        await interaction.response.send_message(sentence, ephemeral=True, allowed_mentions=nobody)
    except discord.HTTPException as error:
        if error.code != ALREADY_ACKNOWLEDGED:
            raise
        await interaction.edit_original_response(content=sentence, view=None, allowed_mentions=nobody)
