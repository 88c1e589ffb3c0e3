"""From what was sent to what is stored: embeds, components and files, with the fields that Discord fills in."""

import mimetypes
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from bot.localdiscord.messages import CONTAINER, FILE, SELECTS, SEPARATOR, THUMBNAIL, walk

Json = dict[str, Any]


@dataclass(frozen=True)
class Upload:
    """A file on its way in."""

    filename: str
    data: bytes
    content_type: str | None = None
    description: str | None = None

    @property
    def kind(self) -> str:
        return self.content_type or mimetypes.guess_type(self.filename)[0] or "application/octet-stream"


def safe_filename(name: str) -> str:
    """A file's name as Discord keeps it: no folders, nothing but letters, digits, dots, dashes and underscores."""
    bare = name.replace("\\", "/").rpartition("/")[2].replace(" ", "_")
    return re.sub(r"[^\w.\-]", "", bare, flags=re.ASCII) or "unknown"


def stored_embeds(embeds: list[Json] | None, urls: Mapping[str, str]) -> tuple[Json, ...]:
    """Embeds as Discord gives them back. `urls`: where attachments lie, by file name."""
    return tuple(_stored_embed(embed, urls) for embed in embeds or [] if embed)


def _stored_embed(embed: Json, urls: Mapping[str, str]) -> Json:
    stored: Json = {"type": "rich"}
    for name in ("title", "description", "url", "color"):
        if embed.get(name) is not None:
            stored[name] = embed[name]
    if embed.get("timestamp") is not None:
        stored["timestamp"] = _with_zone(embed["timestamp"])
    for name in ("image", "thumbnail"):
        if (embed.get(name) or {}).get("url"):
            url = _resolve(embed[name]["url"], urls)
            stored[name] = {"url": url, "proxy_url": url, "width": 0, "height": 0}
    for name, text_field in (("footer", "text"), ("author", "name")):
        if (embed.get(name) or {}).get(text_field):
            stored[name] = _with_icon(embed[name], text_field, urls)
    if embed.get("fields"):
        stored["fields"] = [{"name": item["name"], "value": item["value"], "inline": bool(item.get("inline"))} for item in embed["fields"]]
    return stored


def _with_zone(text: str) -> str:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat()


def _with_icon(part: Json, text_field: str, urls: Mapping[str, str]) -> Json:
    stored: Json = {text_field: part[text_field]}
    if part.get("url"):
        stored["url"] = part["url"]
    if part.get("icon_url"):
        icon = _resolve(part["icon_url"], urls)
        stored |= {"icon_url": icon, "proxy_icon_url": icon}
    return stored


def _resolve(url: str, urls: Mapping[str, str]) -> str:
    return urls.get(url.removeprefix("attachment://"), url) if url.startswith("attachment://") else url


def stored_components(components: list[Json] | None, urls: Mapping[str, str], make_id: Callable[[], int]) -> tuple[Json, ...]:
    """Components as Discord gives them back: each with an integer id, and with its defaults."""
    stored = [_stored_component(part, urls, make_id) for part in components or []]
    taken = {part["id"] for part in walk(stored) if part.get("id")}
    free = (number for number in range(1, 10_000) if number not in taken)
    for part in walk(stored):
        if not part.get("id"):
            part["id"] = next(free)
    return tuple(stored)


_DEFAULTS: dict[int, Json] = {
    **{kind: {"min_values": 1, "max_values": 1} for kind in SELECTS},
    SEPARATOR: {"divider": True, "spacing": 1},
    CONTAINER: {"accent_color": None, "spoiler": False},
    THUMBNAIL: {"description": None, "spoiler": False},
    FILE: {"spoiler": False, "name": None, "size": None},
}
"""What Discord fills in, by type."""


def _stored_component(part: Json, urls: Mapping[str, str], make_id: Callable[[], int]) -> Json:
    given = {name: value for name, value in part.items() if value is not None}
    stored: Json = {"id": 0} | _DEFAULTS.get(part["type"], {}) | given
    if "components" in stored:
        stored["components"] = [_stored_component(item, urls, make_id) for item in stored["components"]]
    if "accessory" in stored:
        stored["accessory"] = _stored_component(stored["accessory"], urls, make_id)
    for name in ("media", "file"):
        if name in stored:
            stored[name] = _media(stored[name], urls, make_id)
    if part["type"] == FILE:
        stored["name"] = stored["file"]["url"].rpartition("/")[2]
    if "items" in stored:
        blank: Json = {"description": None, "spoiler": False}
        stored["items"] = [blank | item | {"media": _media(item["media"], urls, make_id)} for item in stored["items"]]
    return stored


def _media(media: Json, urls: Mapping[str, str], make_id: Callable[[], int]) -> Json:
    url = _resolve(media["url"], urls)
    return {"id": str(make_id()), "url": url, "proxy_url": url, "width": None, "height": None, "content_type": None}
