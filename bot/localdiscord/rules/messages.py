"""Rules for messages: length, emptiness, embeds, mentions, files, nonce. Webhook and interaction messages included."""

from typing import Any

from bot.localdiscord.messages import COMPONENTS_V2
from bot.localdiscord.rules import components, refusal
from bot.localdiscord.rules.forms import (
    Problems,
    Shape,
    boolean,
    check,
    form,
    integer,
    many,
    moment,
    number,
    one_of,
    snowflake,
    text,
    url,
)

Json = dict[str, Any]

MOST_FILES = 10
MOST_EMBED_CHARACTERS = 6000

_PICTURE = form({"url": url(2048, ("http", "https", "attachment"))})
_EMBED = form(
    {
        "title": text(0, 256),
        "type": text(),
        "description": text(0, 4096),
        "url": url(2048),
        "timestamp": moment,
        "color": integer(0, 0xFFFFFF),
        "footer": form({"text": text(0, 2048), "icon_url": url(2048, ("http", "https", "attachment"))}, needs=("text",)),
        "image": _PICTURE,
        "thumbnail": _PICTURE,
        "author": form(
            {"name": text(0, 256), "url": url(2048), "icon_url": url(2048, ("http", "https", "attachment"))},
            needs=("name",),
        ),
        "fields": many(form({"name": text(1, 256), "value": text(1, 1024), "inline": boolean}, needs=("name", "value")), 0, 25),
    }
)
_MENTIONS = form(
    {
        "parse": many(one_of(("everyone", "roles", "users"))),
        "users": many(snowflake, 0, 100),
        "roles": many(snowflake, 0, 100),
        "replied_user": boolean,
    }
)
_ATTACHMENT = form(
    {
        "id": snowflake,
        "filename": text(1, 1024),
        "description": text(0, 1024),
        "title": text(0, 1024),
        "duration_secs": number,
        "waveform": text(0, 400),
    },
    needs=("id",),
)
_FIELDS: dict[str, Shape] = {
    "content": text(0, 2000),
    "embeds": many(_EMBED, 0, 10),
    "flags": integer(0),
    "tts": boolean,
    "allowed_mentions": _MENTIONS,
    "attachments": many(_ATTACHMENT, 0, MOST_FILES),
}
_ON_CREATE: dict[str, Shape] = {
    "enforce_nonce": boolean,
    "message_reference": form({"message_id": snowflake, "channel_id": snowflake, "guild_id": snowflake, "fail_if_not_exists": boolean}),
    "sticker_ids": many(snowflake, 0, 3),
}
_ON_WEBHOOK: dict[str, Shape] = {"username": text(1, 80), "avatar_url": url(2048), "thread_name": text(0, 100)}
_OLD = _FIELDS | {"components": components.OLD}
_NEW = _FIELDS | {"components": components.NEW}


def check_message(body: Json, *, v2: bool = False, webhook: bool = False) -> None:
    """Refuse a body that no message can have. `v2`: the message being edited has that flag already."""
    extra = _ON_WEBHOOK if webhook else _ON_CREATE
    flags = body.get("flags")
    is_v2 = v2 or (isinstance(flags, int) and bool(flags & COMPONENTS_V2))
    rules = [_check_nonce, _check_mentions, _check_embed_total, _check_layout]
    check(body, form((_NEW if is_v2 else _OLD) | extra), *rules, *([_check_v2] if is_v2 else []))
    if webhook and isinstance(body.get("username"), str):
        check_persona(body["username"])


def check_files(count: int, kept: int, largest: int, limit: int) -> None:
    """Refuse too many or too large files; sizes in bytes."""
    if count + kept > MOST_FILES:
        raise refusal.too_many_files()
    if largest > limit:
        raise refusal.too_large()


def check_not_empty(body: Json, files: int) -> None:
    """Refuse a message that shows nothing."""
    content = body.get("content")
    if isinstance(content, str) and content.strip():
        return
    shown = any(body.get("embeds") or []) or any(body.get(name) for name in ("components", "sticker_ids", "poll"))
    if not shown and not files:
        raise refusal.empty_message()


def check_persona(name: str) -> None:
    """Refuse a name that a webhook must not wear."""

    def rule(value: str, problems: Problems) -> None:
        _check_name(value, problems, "username")

    check(name, text(1, 80), rule)


def check_webhook(body: Json, *, needs_name: bool) -> None:
    """Refuse a webhook's name or avatar."""

    def rule(value: Json, problems: Problems) -> None:
        if value.get("name") is not None:
            _check_name(value["name"], problems, "name")

    fields: dict[str, Shape] = {"name": text(1, 80), "avatar": data_image, "channel_id": snowflake}
    check(body, form(fields, needs=("name",) if needs_name else ()), rule)


def data_image(value: object, path: tuple[str | int, ...], problems: Problems) -> None:
    """A picture as data:image/...;base64, text."""
    if not isinstance(value, str) or not value.startswith("data:image/") or ";base64," not in value:
        problems.add(path, "IMAGE_INVALID", "Invalid image data")


def _check_name(name: str, problems: Problems, field: str) -> None:
    lowered = name.strip().lower()
    if not lowered:
        problems.add((field,), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 80 in length.")
    for word in ("clyde", "discord"):
        if word in lowered:
            problems.add((field,), "USERNAME_INVALID_CONTAINS", f'Username cannot contain "{word}"')
    if lowered in {"everyone", "here"}:
        problems.add((field,), "USERNAME_INVALID", f'Username cannot be "{lowered}"')


def _check_nonce(body: Json, problems: Problems) -> None:
    nonce = body.get("nonce")
    if isinstance(nonce, bool) or not isinstance(nonce, int | str | None):
        problems.add(("nonce",), "NONCE_TYPE_INVALID", "Nonce must be a string or an integer.")
    elif isinstance(nonce, str) and len(nonce) > 25:
        problems.add(("nonce",), "NONCE_TYPE_TOO_LONG", "Must be 25 or fewer in length.")


def _check_mentions(body: Json, problems: Problems) -> None:
    mentions = body.get("allowed_mentions") or {}
    for kind in ("users", "roles"):
        if kind in (mentions.get("parse") or []) and mentions.get(kind):
            problems.add(
                ("allowed_mentions",),
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] are mutually exclusive.',
            )


def _check_embed_total(body: Json, problems: Problems) -> None:
    total = sum(embed_characters(embed) for embed in body.get("embeds") or [])
    if total > MOST_EMBED_CHARACTERS:
        message = f"Embed size exceeds maximum size of {MOST_EMBED_CHARACTERS}"
        problems.add(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", message)


def embed_characters(embed: Json) -> int:
    """What counts towards the 6000 of a message."""
    parts = [embed.get("title"), embed.get("description")]
    parts += [(embed.get("footer") or {}).get("text"), (embed.get("author") or {}).get("name")]
    for item in embed.get("fields") or []:
        parts += [item["name"], item["value"]]
    return sum(len(part) for part in parts if part)


def _check_layout(body: Json, problems: Problems) -> None:
    components.check_meaning(body.get("components") or [], problems)


def _check_v2(body: Json, problems: Problems) -> None:
    components.check_size_v2(body.get("components") or [], problems)
    for name in ("content", "embeds", "sticker_ids", "poll"):
        if body.get(name):
            problems.add(
                (name,),
                "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2",
                f'The "{name}" field cannot be used when using MessageFlags.IS_COMPONENTS_V2',
            )
