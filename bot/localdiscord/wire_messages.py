"""Messages and their files as Discord's JSON: over REST, in the answer to their making, over the gateway."""

from typing import Any

from bot.localdiscord.messages import EPHEMERAL, Attachment, Author, Message
from bot.localdiscord.objects import User
from bot.localdiscord.wire import bare_member_json, time_text, user_json

Json = dict[str, Any]


def author_json(author: Author) -> Json:
    user = User(author.id, author.name, bot=author.bot, display_name=author.display_name, avatar=author.avatar)
    return user_json(user) | ({"discriminator": "0000"} if author.webhook else {})


def attachment_json(attachment: Attachment, base_url: str) -> Json:
    url = f"{base_url}/cdn/{attachment.path}"
    body: Json = {
        "id": str(attachment.id),
        "filename": attachment.filename,
        "size": attachment.size,
        "url": url,
        "proxy_url": url,
        "content_type": attachment.content_type,
    }
    if attachment.description is not None:
        body["description"] = attachment.description
    if attachment.ephemeral:
        body["ephemeral"] = True
    return body


def message_json(message: Message, base_url: str) -> Json:
    """A message as REST gives it. Without its nonce, which Discord shows only to who is there when it is sent."""
    body = _message_alone(message, base_url)
    if message.reply_to is None:
        return body
    reference: Json = {"type": 0, "channel_id": str(message.channel.id), "message_id": str(message.reply_to)}
    if message.channel.guild is not None:
        reference["guild_id"] = str(message.channel.guild.id)
    target = message.channel.messages.get(message.reply_to)
    return body | {"message_reference": reference, "referenced_message": None if target is None else _message_alone(target, base_url)}


def _message_alone(message: Message, base_url: str) -> Json:
    """A message without the one it replies to."""
    body: Json = {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "type": message.kind,
        "content": message.content,
        "author": author_json(message.author),
        "mentions": [user_json(user) for user in message.mentions],
        "mention_roles": [str(role) for role in message.mention_roles],
        "mention_everyone": message.mention_everyone,
        "attachments": [attachment_json(item, base_url) for item in message.attachments],
        "embeds": list(message.embeds),
        "components": list(message.components),
        "timestamp": time_text(message.sent_at),
        "edited_timestamp": None if message.edited_at is None else time_text(message.edited_at),
        "flags": message.flags,
        "pinned": message.pinned,
        "tts": message.tts,
    }
    if message.webhook_id is not None:
        body["webhook_id"] = str(message.webhook_id)
    if message.application_id is not None:
        body["application_id"] = str(message.application_id)
    if message.interaction is not None:
        body["interaction_metadata"] = message.interaction
        if message.command_name is not None:
            body["interaction"] = {
                "id": message.interaction["id"],
                "type": 2,
                "name": message.command_name,
                "user": message.interaction["user"],
            }
    if message.reactions:
        body["reactions"] = [_reaction_json(emoji, users, message.author.id) for emoji, users in message.reactions]
    return body


def _reaction_json(emoji: str, users: tuple[int, ...], viewer_id: int) -> Json:
    return {
        "emoji": {"id": None, "name": emoji},
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "burst_colors": [],
        "me_burst": False,
        "burst_me": False,
        "me": viewer_id in users,
    }


def new_message_json(message: Message, base_url: str) -> Json:
    """A message in the answer to the request that made it."""
    body = message_json(message, base_url)
    return body if message.nonce is None else body | {"nonce": message.nonce}


def message_event_json(message: Message, base_url: str) -> Json:
    """A message as the gateway gives it: with the server and the member, except where only one person sees it."""
    body = message_json(message, base_url)
    guild = message.channel.guild
    if guild is None or message.flags & EPHEMERAL:
        return body
    body["guild_id"] = str(guild.id)
    member = guild.members.get(message.author.id)
    if member is not None and not message.is_webhook:
        body["member"] = bare_member_json(member)
    return body


def without_content(body: Json, message: Message, bot_id: int) -> Json:
    """A message as a bot reads it that has no MESSAGE_CONTENT: only its own, direct ones and those that mention it are whole."""
    answered = None if message.reply_to is None else message.channel.messages.get(message.reply_to)
    if answered is not None and body.get("referenced_message") is not None:
        body = body | {"referenced_message": without_content(body["referenced_message"], answered, bot_id)}
    named = any(user.id == bot_id for user in message.mentions)
    if message.channel.guild is None or message.author.id == bot_id or named:
        return body
    return body | {"content": "", "embeds": [], "attachments": [], "components": []}
