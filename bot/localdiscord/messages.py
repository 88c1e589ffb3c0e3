"""A message, as stored and as people see it. Frozen: an edit makes a new one, so what a test has read never changes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bot.localdiscord.objects import Channel, User

Json = dict[str, Any]

EPHEMERAL = 1 << 6
LOADING = 1 << 7
SUPPRESS_NOTIFICATIONS = 1 << 12
COMPONENTS_V2 = 1 << 15

ACTION_ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT = 5, 6, 7, 8
SECTION, TEXT_DISPLAY, THUMBNAIL, MEDIA_GALLERY, FILE, SEPARATOR, CONTAINER, LABEL = 9, 10, 11, 12, 13, 14, 17, 18
SELECTS = frozenset({STRING_SELECT, USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT})
LINK_STYLE = 5


@dataclass(frozen=True)
class Attachment:
    """A file on the local CDN."""

    id: int
    filename: str
    size: int
    content_type: str
    path: str
    """Where the CDN has it, below /cdn."""
    description: str | None = None
    ephemeral: bool = False


@dataclass(frozen=True)
class Author:
    """Who a message is from, as it was when it was sent: a webhook may wear any name."""

    id: int
    name: str
    bot: bool
    avatar: str | None = None
    display_name: str | None = None
    avatar_url: str | None = None
    """The picture that a webhook asked for."""
    webhook: bool = False


@dataclass(frozen=True)
class Button:
    """A button that a person sees."""

    label: str
    custom_id: str | None
    style: int
    disabled: bool
    url: str | None = None


@dataclass(frozen=True)
class Message:
    """One message at one moment."""

    id: int
    channel: "Channel" = field(repr=False)
    author: Author
    content: str
    sent_at: datetime
    kind: int = 0
    """0 ordinary, 19 reply, 20 slash command, 23 context menu command."""
    flags: int = 0
    embeds: tuple[Json, ...] = ()
    components: tuple[Json, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    mentions: "tuple[User, ...]" = ()
    mention_roles: tuple[int, ...] = ()
    mention_everyone: bool = False
    pinged: tuple[str, ...] = ()
    """Names of the people whose client would ring, sorted."""
    edited_at: datetime | None = None
    tts: bool = False
    nonce: str | int | None = None
    webhook_id: int | None = None
    application_id: int | None = None
    interaction: Json | None = field(default=None, repr=False)
    """`interaction_metadata`, for what answers an interaction."""
    command_name: str | None = None
    reply_to: int | None = None
    ephemeral_for: int | None = None
    """The only user who sees it."""
    pinned: bool = False
    reactions: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Emoji and the ids of who reacted with it."""

    @property
    def author_name(self) -> str:
        return self.author.display_name or self.author.name

    @property
    def is_webhook(self) -> bool:
        """Sent by a channel's webhook. The answers to interactions are not."""
        return self.author.webhook

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def loading(self) -> bool:
        """Shown as "… is thinking"."""
        return bool(self.flags & LOADING)

    @property
    def edited(self) -> bool:
        return self.edited_at is not None

    @property
    def buttons(self) -> tuple[Button, ...]:
        return tuple(
            Button(
                label=part.get("label") or (part.get("emoji") or {}).get("name") or "",
                custom_id=part.get("custom_id"),
                style=part["style"],
                disabled=bool(part.get("disabled")),
                url=part.get("url"),
            )
            for part in walk(self.components)
            if part["type"] == BUTTON
        )

    @property
    def text(self) -> str:
        """Everything written in it: content, text displays, embeds."""
        lines = [self.content, *(part["content"] for part in walk(self.components) if part["type"] == TEXT_DISPLAY)]
        for embed in self.embeds:
            lines += [embed.get("title", ""), embed.get("description", "")]
            lines += [f"{item['name']}: {item['value']}" for item in embed.get("fields", [])]
        return "\n".join(line for line in lines if line)

    def component(self, custom_id: str) -> Json | None:
        return next((part for part in walk(self.components) if part.get("custom_id") == custom_id), None)


def walk(components: "tuple[Json, ...] | list[Json]") -> Iterator[Json]:
    """Every component, outermost first."""
    for part in components:
        yield part
        yield from walk(part.get("components") or [])
        for key in ("accessory", "component"):
            if isinstance(part.get(key), dict):
                yield from walk([part[key]])
