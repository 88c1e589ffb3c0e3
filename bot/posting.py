"""Poster: the outbox delivered to Discord, and the few calls that edit or delete what was posted. Everything goes out with no mention."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import aiohttp
import discord
import structlog

from bot.clock import Clock
from bot.errors import NotAllowed, NotFound
from bot.messages import Button, Message, Persona, without_webhook
from bot.outbox import SETTLE_S, FillDue, Later, Outbox, Refused, Unanswered, Unreadable
from storage.database import Database
from storage.erasing import fingerprint
from storage.posts import Post
from storage.webhooks import Webhook, WebhookStore

WEBHOOK_NAME = "Mynah"
TRANSMIT_S = 90.0
"""How long one request may take with discord.py's own waiting and retrying, in seconds."""
UNREADABLE = "Mynah may not read the channel's history (Read Message History), so it cannot tell whether this was posted."
PAGE = 100
HISTORY = 2000
"""Messages that are read back at most when a post is looked for."""
CLOCK_SKEW = timedelta(minutes=5)
"""How far Discord's clock and ours may differ."""
UNKNOWN_CHANNEL, UNKNOWN_WEBHOOK, INVALID_WEBHOOK_TOKEN, TOO_MANY_WEBHOOKS, NO_DIRECT_MESSAGES = 10003, 10015, 50027, 30007, 50007

log = structlog.get_logger("mynah.posting")


async def send_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Middleware: end the attempt at the first failure.

    discord.py sends a webhook message again after a 5xx and after some lost connections. A bot's message has a nonce by which Discord drops
    the second; a webhook's has none, and would stand there twice. What is raised here is nothing that discord.py retries.
    """
    try:
        response = await handler(request)
    except aiohttp.ClientConnectorError:  # no connection was made, so nothing left
        raise
    except OSError as error:
        raise Unanswered(str(error)) from error
    if response.status >= 500:
        response.close()
        raise Unanswered(f"Discord answered {response.status}")
    return response


def view_of(buttons: tuple[Button, ...]) -> discord.ui.View | None:
    """The buttons as discord.py sends them."""
    if not buttons:
        return None
    view = discord.ui.View(timeout=None)
    for button in buttons:
        view.add_item(
            discord.ui.Button(label=button.label, custom_id=button.custom_id, style=discord.ButtonStyle[button.style]),
        )
    view.stop()  # else discord.py keeps it for ever; the dynamic items of the cogs answer the clicks
    return view


def edit_of(message: Message) -> dict[str, Any]:
    """Arguments that make a message, or the reply to an interaction, say this."""
    return {"content": message.content, "view": view_of(message.buttons), "allowed_mentions": discord.AllowedMentions.none()}


def _without_empty_view(message: Message) -> dict[str, Any]:
    return {key: value for key, value in edit_of(message).items() if value is not None}


@contextmanager
def translated(*, repeatable: bool) -> Iterator[None]:
    """Turn discord.py's errors into the outbox's; with `repeatable` those without a clear outcome, too."""
    try:
        yield
    except discord.RateLimited as error:
        raise Later(error.retry_after) from error
    except discord.HTTPException as error:
        if error.status == 429:  # without `Via`, so that discord.py did not wait itself
            raise Later(float(error.response.headers.get("Retry-After", 30))) from error
        if 400 <= error.status < 500:
            raise Refused(_sentence(error)) from error
        if repeatable:
            raise Later(0) from error
        raise Unanswered(f"Discord answered {error.status}") from error
    except aiohttp.ClientConnectorError as error:
        raise Later(0) from error
    except (aiohttp.ClientError, OSError) as error:
        if repeatable:
            raise Later(0) from error
        raise Unanswered(str(error) or type(error).__name__) from error


def _sentence(error: discord.HTTPException) -> str:
    if error.code == UNKNOWN_CHANNEL:
        return "The channel is gone."
    if error.code == NO_DIRECT_MESSAGES:
        return "They take no direct messages from Mynah."
    if error.status == 403:
        return "Mynah may not post in this channel: give it View Channel, Send Messages and Manage Webhooks there."
    return f"Discord refused the post: {error.text.strip() or error.response.reason} (status {error.status}, code {error.code})."


class Poster(Outbox):
    """Delivers the outbox: characters through one webhook per channel, the rest as the bot."""

    def __init__(self, *, database: Database, clock: Clock, fill_due: FillDue, settle_s: float = SETTLE_S) -> None:
        super().__init__(database=database, clock=clock, fill_due=fill_due, settle_s=settle_s)
        self._webhooks = WebhookStore(database)
        self._attached = asyncio.Event()
        self._client: discord.Client
        self._once: aiohttp.ClientSession
        self._renewed: set[int] = set()
        """Posts for which a lost webhook was made anew: that is done once."""

    def attach(self, client: discord.Client) -> None:
        """Deliver through this client, which has logged in."""
        self._client = client
        self.notices.owner_of = self._owner_of
        self._attached.set()

    def _owner_of(self, guild_id: int) -> int | None:
        guild = self._client.get_guild(guild_id)
        return guild.owner_id if guild else None

    async def attached(self) -> None:
        """Return once a client is attached."""
        await self._attached.wait()

    async def run(self) -> None:
        """Deliver until cancelled, from the moment a client is attached."""
        await self._attached.wait()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30), middlewares=(send_once,)) as self._once:
            await super().run()

    async def send(self, channel_id: int, message: Message, *, nonce: str) -> int:
        """Send a message as the bot, outside the outbox, and return its id. Within minutes Discord drops a second one with that nonce.

        Raises:
            Refused, Later: it was not sent, or the answer was lost.
        """
        with translated(repeatable=True):
            sent = await self._channel(channel_id).send(nonce=nonce, suppress_embeds=True, **_without_empty_view(message))
        return sent.id

    async def edit(self, channel_id: int, message_id: int, message: Message) -> bool:
        """Change one of the bot's messages, by the bot's token; False when it is gone.

        Raises:
            Refused, Later: as their names say.
        """
        with translated(repeatable=True):
            try:
                await self._channel(channel_id).get_partial_message(message_id).edit(**edit_of(message))
            except discord.NotFound:
                return False
        return True

    async def delete(self, post: Post, *, by: int) -> None:
        """Take a post off its channel.

        Raises:
            NotFound: it does not stand there.
            NotAllowed: Discord does not let the bot.
        """
        if post.message_id is None:
            raise NotFound("This post is not in the channel.")
        try:
            await self._delete_message(post.channel_id, post.message_id)
        except discord.Forbidden as error:
            raise NotAllowed("Mynah may not delete that message: give it Manage Messages in this channel.") from error
        async with self._database.transaction() as tx:
            await self._posts.mark_deleted(tx, post.id)
        log.info("post deleted", id=post.id, by=by)

    async def erase(self, channel_id: int, message_id: int, recipient_id: int | None) -> None:
        """Take a message off its channel, or off the direct messages with a person; gone already is as good.

        Raises:
            Refused: Discord does not let the bot.
            Later: it cannot be done now.
        """
        with translated(repeatable=True):
            await self._delete_message(channel_id if recipient_id is None else await self._direct(recipient_id), message_id)

    async def prepare(self, post: Post, message: Message) -> None:
        """Have a webhook for the channel where one is needed and allowed; without one the bot itself speaks for the character."""
        home = self._home(post.channel_id)
        if message.persona is None or await self._webhooks.get(home) is not None:
            return
        with translated(repeatable=True):
            try:
                webhook = await self._found_or_made(home)
            except discord.HTTPException as error:
                if not isinstance(error, discord.Forbidden) and error.code != TOO_MANY_WEBHOOKS:
                    raise
                log.warning("no webhook in a channel: its characters speak as the bot", channel=home, reason=error.text)
                return
        async with self._database.transaction() as tx:
            await self._webhooks.put(tx, webhook, now=self._clock.now())

    async def _found_or_made(self, channel_id: int) -> Webhook:
        http = self._client.http
        for data in await http.channel_webhooks(channel_id):
            if data.get("application_id") == str(self._client.application_id) and data.get("token"):
                return Webhook(channel_id, int(data["id"]), data["token"])
        made = await http.create_webhook(channel_id, name=WEBHOOK_NAME)
        return Webhook(channel_id, int(made["id"]), made["token"])

    async def transmit(self, post: Post, message: Message) -> int:
        """Send it once: as the character where there is a webhook, else as the bot, with a nonce by which Discord drops a second one."""
        webhook = await self._webhook(post, message)
        with translated(repeatable=True):
            channel = self._channel(await self._target(post))
        with translated(repeatable=False):
            async with asyncio.timeout(TRANSMIT_S):
                if webhook is not None and message.persona is not None:
                    return await self._execute(webhook, post, message, message.persona)
                request = _without_empty_view(without_webhook(message))
                return (await channel.send(nonce=post.nonce, suppress_embeds=True, **request)).id

    async def _execute(self, webhook: Webhook, post: Post, message: Message, persona: Persona) -> int:
        try:
            sent = await self._partial(webhook, self._once).send(
                username=persona.name,
                avatar_url=persona.avatar_url,
                wait=True,
                suppress_embeds=True,
                **self._thread(post.channel_id),
                **_without_empty_view(message),
            )
        except discord.HTTPException as error:
            # A webhook that was deleted must not be used again. It is made anew once for a post, then the post has failed.
            if error.code not in (UNKNOWN_WEBHOOK, INVALID_WEBHOOK_TOKEN):
                raise
            async with self._database.transaction() as tx:
                await self._webhooks.delete(tx, webhook.channel_id)
            if post.id in self._renewed:
                raise
            self._renewed.add(post.id)
            raise Later(0) from error
        return sent.id

    async def find(self, post: Post, message: Message) -> int | None:
        """Look for a post in the channel, back to when it was sent."""
        webhook = await self._webhook(post, message)
        since = (post.sending_at or post.created_at) - CLOCK_SKEW
        others = await self._posts.message_ids(post.channel_id, HISTORY)  # need no look: each would cost a request, and may fail
        seen = 0
        with translated(repeatable=True):
            try:
                async for found in self._channel(await self._target(post)).history(limit=HISTORY):
                    seen += 1
                    # The newest page is read whatever the clocks say.
                    if seen > PAGE and found.created_at < since:
                        return None
                    if found.id not in others and await self._is(found, post, message, webhook):
                        return found.id
                readable = seen > 0 or await self._may_read(post)
            except discord.Forbidden as error:
                raise Unreadable(UNREADABLE) from error
        if not readable:
            raise Unreadable(UNREADABLE)
        if seen == HISTORY:
            raise Unreadable(f"More than {HISTORY} messages came after it, so nobody can tell whether this was posted.")
        return None

    async def _may_read(self, post: Post) -> bool:
        """Whether the bot is shown what stands in the channel: where it is not, Discord gives an empty history, and no error."""
        if post.recipient_id is not None or self._client.user is None:
            return post.recipient_id is not None
        guild = await self._client.fetch_guild(post.guild_id, with_counts=False)
        me = await guild.fetch_member(self._client.user.id)
        home = self._home(post.channel_id)
        return any(channel.id == home and channel.permissions_for(me).read_message_history for channel in await guild.fetch_channels())

    async def _target(self, post: Post) -> int:
        """The channel that it goes to: that of the direct messages with a person is asked for, which may be repeated."""
        return post.channel_id if post.recipient_id is None else await self._direct(post.recipient_id)

    async def _direct(self, user_id: int) -> int:
        route = discord.http.Route("POST", "/users/@me/channels")
        return int((await self._client.http.request(route, json={"recipient_id": str(user_id)}))["id"])

    async def _is(self, found: discord.Message, post: Post, message: Message, webhook: Webhook | None) -> bool:
        if found.author == self._client.user:
            if found.nonce is not None and str(found.nonce) == post.nonce:
                return True
        elif webhook is None or found.webhook_id != webhook.webhook_id:
            return False
        elif not found.content:  # the bot reads no contents of others; by the webhook's token it reads the webhook's own
            try:
                found = await self._partial(webhook).fetch_message(found.id, **self._thread(post.channel_id))
            except discord.NotFound as error:
                raise Unreadable("The webhook is gone, so nobody can tell whether this was posted.") from error
        ids = {item.custom_id for item in discord.ui.View.from_message(found, timeout=None).children if isinstance(item, discord.ui.Button)}
        buttons = {button.custom_id for button in message.buttons}
        if post.erasure_id is not None:  # it has lost its words
            return ids == buttons if buttons else fingerprint(found.content) == message.content
        return found.content.split() in [said.content.split() for said in (message, without_webhook(message))] and ids == buttons

    async def _delete_message(self, channel_id: int, message_id: int) -> None:
        """As the webhook, which may always delete its own, then as the bot; gone already is as good."""
        webhook = await self._webhooks.get(self._home(channel_id))
        if webhook is not None:
            try:
                await self._partial(webhook).delete_message(message_id, **self._thread(channel_id))
            except discord.HTTPException as error:
                if not isinstance(error, discord.NotFound) and error.code != INVALID_WEBHOOK_TOKEN:
                    raise
            else:
                return
        with suppress(discord.NotFound):
            await self._channel(channel_id).get_partial_message(message_id).delete()

    async def _webhook(self, post: Post, message: Message) -> Webhook | None:
        return await self._webhooks.get(self._home(post.channel_id)) if message.persona else None

    def _partial(self, webhook: Webhook, session: aiohttp.ClientSession = discord.utils.MISSING) -> discord.Webhook:
        return discord.Webhook.partial(webhook.webhook_id, webhook.token, client=self._client, session=session)

    def _channel(self, channel_id: int) -> discord.PartialMessageable:
        return self._client.get_partial_messageable(channel_id)

    def _home(self, channel_id: int) -> int:
        """The channel that owns the webhook: a thread uses that of the channel around it."""
        channel = self._client.get_channel(channel_id)
        return channel.parent_id if isinstance(channel, discord.Thread) else channel_id

    def _thread(self, channel_id: int) -> dict[str, Any]:
        return {"thread": discord.Object(channel_id)} if self._home(channel_id) != channel_id else {}
