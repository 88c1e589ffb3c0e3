"""/channels/{id}/messages: history, sending, editing, deleting, pins, reactions."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from bot.localdiscord import mentions, posting, wire
from bot.localdiscord.events import Event
from bot.localdiscord.messages import COMPONENTS_V2, Message
from bot.localdiscord.objects import Channel, permissions_in
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes
from bot.localdiscord.rules import messages as rules
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import check, form, invalid, many, snowflake
from bot.localdiscord.wire_messages import message_json, new_message_json, without_content

Json = dict[str, Any]

routes = Routes()

READ = Permissions.READ_MESSAGE_HISTORY


@routes.add("GET", "/channels/{channel_id}/messages")
def history(call: Call) -> Answer:
    """Newest first, as Discord gives it; nothing without the permission to read back."""
    found = call.channel()
    limit = call.number("limit", 50, 1, 100)
    before, after, around = call.snowflake("before"), call.snowflake("after"), call.snowflake("around")
    if not permissions_in(found, call.application.id) & READ:
        return 200, []
    newest = sorted(_shared(found), key=lambda message: message.id, reverse=True)
    if around is not None:
        older = [item for item in newest if item.id <= around][: limit // 2 + 1]
        newer = [item for item in newest if item.id > around]
        chosen = newer[max(len(newer) - limit // 2, 0) :] + older
    elif before is not None:
        chosen = [item for item in newest if item.id < before]
    elif after is not None:
        later = [item for item in newest if item.id > after]
        chosen = later[max(len(later) - limit, 0) :]
    else:
        chosen = newest
    return 200, [_read(call, item) for item in chosen[:limit]]


@routes.add("GET", "/channels/{channel_id}/messages/pins")
def pins(call: Call) -> Answer:
    pinned = [item for item in _shared(call.channel(READ)) if item.pinned]
    return 200, {
        "items": [{"pinned_at": wire.time_text(item.sent_at), "message": _read(call, item)} for item in pinned],
        "has_more": False,
    }


@routes.add("PUT", "/channels/{channel_id}/messages/pins/{message_id}")
@routes.add("PUT", "/channels/{channel_id}/pins/{message_id}")
def pin(call: Call) -> Answer:
    posting.put(call.world, replace(_message(call, Permissions.MANAGE_MESSAGES), pinned=True))
    return NO_CONTENT


@routes.add("DELETE", "/channels/{channel_id}/messages/pins/{message_id}")
@routes.add("DELETE", "/channels/{channel_id}/pins/{message_id}")
def unpin(call: Call) -> Answer:
    posting.put(call.world, replace(_message(call, Permissions.MANAGE_MESSAGES), pinned=False))
    return NO_CONTENT


@routes.add("GET", "/channels/{channel_id}/messages/{message_id}")
def message(call: Call) -> Answer:
    return 200, _read(call, _message(call, READ))


@routes.add("POST", "/channels/{channel_id}/messages")
def send(call: Call) -> Answer:
    needed = Permissions.SEND_MESSAGES | (Permissions.ATTACH_FILES if call.uploads else 0)
    found = call.channel(needed | (Permissions.EMBED_LINKS if call.form.get("embeds") else 0))
    if found.guild is None and not _welcome(call, found):
        raise refusal.cannot_message_user()
    rules.check_message(call.form)
    rules.check_files(len(call.uploads), 0, max((len(item.data) for item in call.uploads), default=0), wire.FILE_LIMIT)
    rules.check_not_empty(call.form, len(call.uploads))
    reference = _reference(call, found)
    origin = posting.Origin(
        author=posting.author_of(call.application.user),
        bits=permissions_in(found, call.application.id),
        default=mentions.EVERYTHING,
        kind=0 if reference is None else posting.REPLY,
        reply_to=reference,
    )
    return 200, new_message_json(posting.create(call.world, found, call.form, call.uploads, origin), call.world.base_url)


@routes.add("PATCH", "/channels/{channel_id}/messages/{message_id}")
def edit(call: Call) -> Answer:
    current = _message(call)
    if current.author.id != call.application.id or current.is_webhook:
        raise refusal.not_the_author()
    rules.check_message(call.form, v2=bool(current.flags & COMPONENTS_V2))
    bits = permissions_in(current.channel, call.application.id)
    changed = posting.edit(call.world, current, call.form, call.uploads, bits=bits, default=mentions.EVERYTHING)
    return 200, message_json(changed, call.world.base_url)


@routes.add("DELETE", "/channels/{channel_id}/messages/{message_id}")
def delete(call: Call) -> Answer:
    current = _message(call)
    if current.author.id != call.application.id:
        call.channel(Permissions.MANAGE_MESSAGES)
    posting.delete(call.world, current)
    return NO_CONTENT


@routes.add("POST", "/channels/{channel_id}/messages/bulk-delete")
def bulk_delete(call: Call) -> Answer:
    found = call.channel(Permissions.MANAGE_MESSAGES)
    check(call.form, form({"messages": many(snowflake, 2, 100)}, needs=("messages",)))
    for item in call.form["messages"]:
        if int(item) in found.messages:
            posting.delete(call.world, found.messages[int(item)])
    return NO_CONTENT


@routes.add("PUT", "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me")
def react(call: Call) -> Answer:
    current = _message(call, READ | Permissions.ADD_REACTIONS)
    _set_reaction(call, current, add=True)
    return NO_CONTENT


@routes.add("DELETE", "/channels/{channel_id}/messages/{message_id}/reactions/{emoji}/@me")
def unreact(call: Call) -> Answer:
    _set_reaction(call, _message(call), add=False)
    return NO_CONTENT


def _welcome(call: Call, found: Channel) -> bool:
    """A bot may write to people who share a server with it or have installed it, and let it."""
    near = {key for guild in call.world.guilds_of(call.application.id) for key in guild.members} | call.application.installed_by
    return all(user.bot or (user.accepts_direct and user.id in near) for user in found.recipients)


def _read(call: Call, found: Message) -> Json:
    """A message as this bot may read it."""
    body = message_json(found, call.world.base_url)
    return body if call.application.message_content else without_content(body, found, call.application.id)


def _set_reaction(call: Call, current: Message, *, add: bool) -> None:
    emoji = unquote(call.params["emoji"])
    reactions = dict(current.reactions)
    users = [user for user in reactions.pop(emoji, ()) if user != call.application.id]
    if add:
        users.append(call.application.id)
    if users:
        reactions[emoji] = tuple(users)
    # A reaction is no edit, and has events of its own.
    current.channel.messages[current.id] = replace(current, reactions=tuple(reactions.items()))
    data: Json = {
        "user_id": str(call.application.id),
        "channel_id": str(current.channel.id),
        "message_id": str(current.id),
        "emoji": {"id": None, "name": emoji},
        "burst": False,
        "type": 0,
    }
    if current.channel.guild is not None:
        data["guild_id"] = str(current.channel.guild.id)
    name = "MESSAGE_REACTION_ADD" if add else "MESSAGE_REACTION_REMOVE"
    call.world.events.emit(Event(name, data, current.channel.guild, current.channel))


def _shared(found: Channel) -> Iterator[Message]:
    """What a channel shows to everyone: ephemeral messages are not there for REST."""
    return (item for item in found.messages.values() if item.ephemeral_for is None)


def _message(call: Call, needed: int = 0) -> Message:
    found = call.channel(needed)
    current = found.messages.get(call.id("message_id"))
    if current is None or current.ephemeral_for is not None:
        raise refusal.unknown("Message")
    return current


def _reference(call: Call, found: Channel) -> int | None:
    """The message that this one answers."""
    reference = call.form.get("message_reference")
    if not reference or reference.get("message_id") is None:
        return None
    if not permissions_in(found, call.application.id) & READ:
        raise refusal.missing_permissions()
    target = int(reference["message_id"])
    if target in found.messages:
        return target
    if reference.get("fail_if_not_exists") is False:
        return None
    raise invalid(("message_reference",), "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
