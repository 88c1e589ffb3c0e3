"""Messages come into being, change and go. The one place that writes to a channel."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bot.localdiscord import mentions, wire
from bot.localdiscord.drafts import Upload, stored_components, stored_embeds
from bot.localdiscord.events import Event
from bot.localdiscord.messages import (
    COMPONENTS_V2,
    EPHEMERAL,
    LOADING,
    SUPPRESS_NOTIFICATIONS,
    TEXT_DISPLAY,
    Attachment,
    Author,
    Message,
    walk,
)
from bot.localdiscord.objects import Channel, User
from bot.localdiscord.rules import messages as rules
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import invalid
from bot.localdiscord.wire_messages import message_event_json

if TYPE_CHECKING:
    from bot.localdiscord.world import World

Json = dict[str, Any]

SUPPRESS_EMBEDS = 1 << 2
SETTABLE = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | COMPONENTS_V2
NONCE_SECONDS = 300
"""How long enforce_nonce remembers ("the past few minutes")."""
REPLY = 19


@dataclass(frozen=True)
class Origin:
    """How a message came to be: what its body does not say."""

    author: Author
    bits: int
    """What the author may do in the channel."""
    default: mentions.Allowed
    """What may be mentioned when the body does not say."""
    kind: int = 0
    flags: int = 0
    webhook_id: int | None = None
    application_id: int | None = None
    interaction: Json | None = None
    command_name: str | None = None
    reply_to: int | None = None
    ephemeral_for: int | None = None


def author_of(user: User) -> Author:
    return Author(user.id, user.name, user.bot, user.avatar, user.display_name)


def create(world: "World", channel: Channel, body: Json, uploads: Sequence[Upload], origin: Origin) -> Message:
    """Put a new message into a channel. The body has passed the rules."""
    known = _same_nonce(world, channel, body, origin)
    if known is not None:
        return known
    attachments = _store_files(world, channel, uploads, origin.flags)
    message = replace(
        _blank(world, channel, origin),
        flags=origin.flags | (body.get("flags") or 0) & SETTABLE,
        tts=bool(body.get("tts")),
        nonce=body.get("nonce"),
    )
    message = _filled(world, message, body, attachments, origin)
    if message.nonce is not None:
        world.nonces[origin.author.id, str(message.nonce)] = message
    return _arrive(world, message)


def placeholder(world: "World", channel: Channel, origin: Origin) -> Message:
    """The loading message of a deferred answer: "… is thinking"."""
    return _arrive(world, replace(_blank(world, channel, origin), flags=origin.flags | LOADING))


def _blank(world: "World", channel: Channel, origin: Origin) -> Message:
    return Message(
        id=world.snowflakes.make(),
        channel=channel,
        author=origin.author,
        content="",
        sent_at=world.clock.now(),
        kind=origin.kind,
        flags=origin.flags,
        webhook_id=origin.webhook_id,
        application_id=origin.application_id,
        interaction=origin.interaction,
        command_name=origin.command_name,
        reply_to=origin.reply_to,
        ephemeral_for=origin.ephemeral_for,
    )


def _arrive(world: "World", message: Message) -> Message:
    message.channel.messages[message.id] = message
    announce(world, "MESSAGE_CREATE", message)
    return message


def edit(world: "World", message: Message, body: Json, uploads: Sequence[Upload], *, bits: int, default: mentions.Allowed) -> Message:
    """Change a message. Fields that are absent stay. The body has passed the rules.

    Raises:
        Refusal: 50006 when nothing would be left to show; 50035 when V2 components meet old content.
    """
    was_loading = message.loading
    kept = _kept_attachments(message, body)
    rules.check_files(len(uploads), len(kept), max((len(item.data) for item in uploads), default=0), wire.FILE_LIMIT)
    attachments = (*kept, *_store_files(world, message.channel, uploads, message.flags))
    flags = message.flags & ~LOADING
    if body.get("flags") is not None:
        flags = flags & ~SUPPRESS_EMBEDS | body["flags"] & (SUPPRESS_EMBEDS | COMPONENTS_V2)
    origin = Origin(message.author, bits, default, flags=flags, reply_to=message.reply_to)
    changed = _filled(world, replace(message, flags=flags), body, attachments, origin)
    if changed.flags & COMPONENTS_V2 and (changed.content or changed.embeds):
        field = "content" if changed.content else "embeds"
        text = f'The "{field}" field cannot be used when using MessageFlags.IS_COMPONENTS_V2'
        raise invalid((field,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", text)
    if not (changed.content or changed.embeds or changed.components or changed.attachments):
        raise refusal.empty_message()
    # The first text of a deferred answer is no edit to those who read it; a later edit rings nobody.
    changed = replace(changed, edited_at=None) if was_loading else replace(changed, edited_at=world.clock.now(), pinged=message.pinged)
    put(world, changed)
    return changed


def put(world: "World", message: Message) -> None:
    """Store a changed message and tell of it."""
    message.channel.messages[message.id] = message
    announce(world, "MESSAGE_UPDATE", message)


def delete(world: "World", message: Message) -> None:
    """Take a message out of its channel."""
    del message.channel.messages[message.id]
    data: Json = {"id": str(message.id), "channel_id": str(message.channel.id)}
    if message.channel.guild is not None:
        data["guild_id"] = str(message.channel.guild.id)
    world.events.emit(Event("MESSAGE_DELETE", data, message.channel.guild, message.channel, message, _only_for(message)))


def announce(world: "World", name: str, message: Message) -> None:
    data = message_event_json(message, world.base_url)
    if name == "MESSAGE_CREATE" and message.nonce is not None:
        data["nonce"] = message.nonce
    world.events.emit(Event(name, data, message.channel.guild, message.channel, message, _only_for(message)))


def _only_for(message: Message) -> int | None:
    """An ephemeral message is the business of its application alone."""
    return message.application_id if message.ephemeral_for is not None else None


def _same_nonce(world: "World", channel: Channel, body: Json, origin: Origin) -> Message | None:
    if not body.get("enforce_nonce") or body.get("nonce") is None:
        return None
    known = world.nonces.get((origin.author.id, str(body["nonce"])))
    if known is None or known.channel is not channel:
        return None
    recent = (world.clock.now() - known.sent_at).total_seconds() < NONCE_SECONDS
    return channel.messages.get(known.id, known) if recent else None


def _filled(world: "World", message: Message, body: Json, attachments: Sequence[Attachment], origin: Origin) -> Message:
    """The message with the body's text, embeds, components and files, and with who is mentioned."""
    urls = {item.filename: f"{world.base_url}/cdn/{item.path}" for item in attachments}
    changes: Json = {"attachments": tuple(attachments)}
    if "content" in body:
        changes["content"] = (body["content"] or "").strip()
    if "embeds" in body:
        changes["embeds"] = stored_embeds(body["embeds"], urls)
    if "components" in body:
        changes["components"] = stored_components(body["components"], urls, world.snowflakes.make)
    message = replace(message, **changes)
    text = "\n".join([message.content, *(part["content"] for part in walk(message.components) if part["type"] == TEXT_DISPLAY)])
    allowed = mentions.read_allowed(body.get("allowed_mentions"), origin.default)
    found = mentions.find(
        text, message.channel, allowed, author_id=message.author.id, bits=origin.bits, replied=_replied_to(world, message, origin)
    )
    pinged = found.pinged
    if message.ephemeral_for is not None:
        pinged = tuple(name for name in pinged if name == world.users[message.ephemeral_for].name)
    return replace(message, mentions=found.users, mention_roles=found.roles, mention_everyone=found.everyone, pinged=pinged)


def _replied_to(world: "World", message: Message, origin: Origin) -> User | None:
    """Who is mentioned because the message answers theirs. An interaction's answer is no such reply."""
    if message.kind != REPLY or message.interaction is not None or origin.reply_to is None:
        return None
    target = message.channel.messages.get(origin.reply_to)
    return None if target is None or target.is_webhook else world.users.get(target.author.id)


def _kept_attachments(message: Message, body: Json) -> tuple[Attachment, ...]:
    """The files that an edit keeps: all when it does not say, else those it names."""
    if body.get("attachments") is None:
        return () if "attachments" in body else message.attachments
    named = {str(item["id"]) for item in body["attachments"]}
    return tuple(item for item in message.attachments if str(item.id) in named)


def _store_files(world: "World", channel: Channel, uploads: Sequence[Upload], flags: int) -> tuple[Attachment, ...]:
    return tuple(world.store_file(channel, upload, ephemeral=bool(flags & EPHEMERAL)) for upload in uploads)
