"""The same small bot as `discordjs/client.js`, on discord.py as it is. Arguments: address, token. Prints one JSON line for each thing that
happened; ends when its standard input ends.
"""

import asyncio
import io
import json
import os
import sys
import traceback
from typing import Any

import discord
import yarl
from discord import app_commands

address, token = sys.argv[1:]
discord.http.Route.BASE = f"{address}/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(f"ws{address.removeprefix('http')}/gateway")

Interaction = discord.Interaction[discord.Client]


def tell(what: str, **more: object) -> None:
    print(json.dumps({"what": what, **more}), flush=True)  # noqa: T201 -- this is how it speaks to the test


def fail() -> None:
    tell("failed", error=traceback.format_exc())
    os._exit(1)


class Buttons(discord.ui.View):
    @discord.ui.button(label="Again", custom_id="again")
    async def again(self, interaction: Interaction, _: "discord.ui.Button[Buttons]") -> None:
        assert interaction.message is not None
        await interaction.response.edit_message(content=f"{interaction.message.content}, again", view=None)

    @discord.ui.button(label="Ask", custom_id="ask")
    async def ask(self, interaction: Interaction, _: "discord.ui.Button[Buttons]") -> None:
        await interaction.response.send_modal(Asked())


class Asked(discord.ui.Modal, title="Ask"):
    why: "discord.ui.TextInput[Asked]" = discord.ui.TextInput(label="Why", custom_id="why")

    async def on_submit(self, interaction: Interaction) -> None:
        await interaction.response.send_message(f"Because {self.why.value}")


class Colours(discord.ui.View):
    @discord.ui.select(
        custom_id="colour", options=[discord.SelectOption(label="Red", value="r"), discord.SelectOption(label="Blue", value="b")]
    )
    async def chosen(self, interaction: Interaction, select: "discord.ui.Select[Colours]") -> None:
        await interaction.response.edit_message(content=f"Chosen {' '.join(select.values)}", view=None)


class Client(discord.Client):
    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True, guild_messages=True), guild_ready_timeout=0.1)
        self.tree = app_commands.CommandTree(self)

    async def on_ready(self) -> None:
        assert self.user is not None
        known = await self.tree.sync()
        names = [command.name for command in known]
        tell("ready", version=discord.__version__, user=self.user.name, guilds=[guild.name for guild in self.guilds], commands=names)

    async def on_message(self, message: discord.Message) -> None:
        tell("message", author=message.author.name, content=message.content)

    async def on_error(self, *_: Any, **__: Any) -> None:
        fail()


client = Client()


@client.tree.error
async def _on_error(_: Interaction, error: app_commands.AppCommandError) -> None:
    tell("failed", error=repr(error))
    os._exit(1)


@client.tree.command(description="Answer after a while")
async def hello(interaction: Interaction, name: str) -> None:
    await interaction.response.defer(thinking=True)
    await interaction.edit_original_response(content=f"Hello {name}", view=Buttons())
    assert isinstance(interaction.channel, discord.TextChannel)
    await interaction.channel.send("<@1> and @everyone: sent to the channel", allowed_mentions=discord.AllowedMentions.none())
    tell("answered", id=str(interaction.id))


@hello.autocomplete("name")
async def _names(_: Interaction, typed: str) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=name.upper(), value=name) for name in ("alpha", "beta") if name.startswith(typed)]


@client.tree.command(description="Answer one person only")
async def quiet(interaction: Interaction) -> None:
    await interaction.response.send_message("Only you", ephemeral=True, view=Colours())
    await interaction.followup.send("And more", ephemeral=True)
    tell("answered", id=str(interaction.id))


@client.tree.command(description="Look at a file and give one back")
@app_commands.rename(origin="from")
async def look(
    interaction: Interaction,
    file: discord.Attachment,
    origin: discord.Member,
    where: discord.TextChannel,
    times: app_commands.Range[int, 1, 5],
) -> None:
    text = (await file.read()).decode().upper()
    given = discord.File(io.BytesIO(text.encode()), "loud.txt")
    await interaction.response.send_message(f"{file.filename} {file.size} {origin.name} {where.name} {times}", file=given)


@client.tree.context_menu(name="Who is this")
async def who(interaction: Interaction, member: discord.Member) -> None:
    await interaction.response.send_message(f"This is {member.name}")


persona = app_commands.Group(name="persona", description="Speak as somebody else")
client.tree.add_command(persona)


@persona.command(description="One message")
async def once(interaction: Interaction) -> None:
    await interaction.response.defer(ephemeral=True)
    assert isinstance(interaction.channel, discord.TextChannel)
    webhook = await interaction.channel.create_webhook(name="Voices")
    sent = await webhook.send("I am another", username="Nadia (AI)", wait=True)
    await sent.edit(content="I am another, still")
    found = await interaction.channel.webhooks()
    message = await interaction.channel.fetch_message(sent.id)
    await interaction.edit_original_response(content=f"once: {len(found)} webhook, {message.author.name}")


async def main() -> None:
    """Run until standard input ends."""
    async with client:
        running = asyncio.create_task(client.start(token))
        await asyncio.to_thread(sys.stdin.read)
        await client.close()
        await running


asyncio.run(main())
