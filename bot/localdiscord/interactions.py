"""Interactions: from the person's action to the bot's answer, with Discord's deadlines."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bot.localdiscord import mentions, posting, wire
from bot.localdiscord.commands import Command
from bot.localdiscord.drafts import Upload
from bot.localdiscord.events import Event
from bot.localdiscord.messages import COMPONENTS_V2, EPHEMERAL, Message
from bot.localdiscord.objects import Application, Channel, User, permissions_in
from bot.localdiscord.rules import commands as command_rules
from bot.localdiscord.rules import messages as message_rules
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import invalid
from bot.localdiscord.snowflakes import interaction_token

if TYPE_CHECKING:
    from bot.localdiscord.world import World

Json = dict[str, Any]

ACKNOWLEDGE_SECONDS = 3.0
TOKEN_SECONDS = 15 * 60.0

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
REPLY, DEFER, DEFER_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9

_MAY_ANSWER = {
    COMMAND: {REPLY, DEFER, MODAL},
    COMPONENT: {REPLY, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {REPLY, DEFER, DEFER_UPDATE, UPDATE},
}

CHANGED = "local.interaction"
"""The event that tells people, never bots, that an interaction was answered or failed."""


@dataclass(eq=False)
class Interaction:
    """One use of a command, component or modal, and what became of it."""

    id: int
    token: str
    kind: int
    application: Application
    user: User
    channel: Channel
    opened_at: float
    data: Json
    command: Command | None = None
    source: Message | None = None
    """The message whose component was used, as it was then."""
    parent: "Interaction | None" = None
    """What opened the modal that this one submits."""
    answered_with: int | None = None
    failed: bool = False
    """Nobody answered within three seconds."""
    original_id: int | None = None
    followup_ids: list[int] = field(default_factory=list)
    defer_open: bool = False
    """Deferred, and the loading message still waits for its text."""
    choices: list[Json] | None = None
    modal: Json | None = None

    @property
    def original(self) -> Message | None:
        return None if self.original_id is None else self.channel.messages.get(self.original_id)


def open_interaction(world: "World", interaction: Interaction) -> Interaction:
    """Tell the bot, and start the three seconds."""
    world.interactions[interaction.token] = interaction
    world.clock.call_at(interaction.opened_at + ACKNOWLEDGE_SECONDS, lambda: _expire(world, interaction))
    world.events.emit(
        Event(
            "INTERACTION_CREATE",
            _payload(world, interaction),
            interaction.channel.guild,
            interaction.channel,
            application_id=interaction.application.id,
        )
    )
    return interaction


def new(world: "World", kind: int, application: Application, user: User, channel: Channel, data: Json, **more: Any) -> Interaction:  # noqa: ANN401 - fields of Interaction, which checks them
    interaction_id = world.snowflakes.make()
    return Interaction(interaction_id, interaction_token(interaction_id), kind, application, user, channel, world.clock.time(), data, **more)


def answer(world: "World", interaction_id: int, token: str, body: Json, uploads: Sequence[Upload]) -> Interaction:
    """The bot's callback.

    Raises:
        Refusal: 10062 unknown or later than three seconds, 40060 answered before, 50035 for a body that does not fit.
    """
    interaction = world.interactions.get(token)
    if interaction is None or interaction.id != interaction_id or _too_late(world, interaction):
        raise refusal.unknown("interaction")
    if interaction.answered_with is not None:
        raise refusal.already_acknowledged()
    kind = _answer_kind(interaction, body)
    data = body.get("data") or {}
    if not isinstance(data, dict):
        raise invalid(("data",), "MODEL_TYPE_CONVERT", "Only dictionaries may be used in a ModelType")
    _perform(world, interaction, kind, data, uploads)
    interaction.answered_with = kind
    _tell(world, interaction)
    return interaction


def alive(world: "World", application_id: int, token: str) -> Interaction:
    """The interaction behind a webhook route.

    Raises:
        Refusal: 50027 after 15 minutes or for a wrong token; 10015 when it was never answered.
    """
    interaction = world.interactions.get(token)
    if interaction is None or interaction.application.id != application_id or world.clock.time() - interaction.opened_at >= TOKEN_SECONDS:
        raise refusal.dead_token()
    if interaction.answered_with is None:
        raise refusal.unknown("Webhook")
    return interaction


def follow_up(world: "World", interaction: Interaction, body: Json, uploads: Sequence[Upload]) -> Message:
    """A further message. The first one after a deferred answer becomes its text."""
    message_rules.check_message(body)
    if interaction.defer_open and interaction.original is not None:
        return change(world, interaction, interaction.original, body, uploads)
    message_rules.check_not_empty(body, len(uploads))
    flags = (body.get("flags") or 0) & EPHEMERAL
    origin = replace(_origin(interaction, flags), kind=posting.REPLY, reply_to=interaction.original_id)
    message = posting.create(world, interaction.channel, body, uploads, origin)
    interaction.followup_ids.append(message.id)
    _tell(world, interaction)
    return message


def change(world: "World", interaction: Interaction, message: Message, body: Json, uploads: Sequence[Upload]) -> Message:
    """Edit the original answer or a followup through the interaction's token."""
    message_rules.check_message(body, v2=bool(message.flags & COMPONENTS_V2))
    bits = permissions_in(interaction.channel, interaction.application.id)
    changed = posting.edit(world, message, body, uploads, bits=bits, default=mentions.USERS)
    if message.id == interaction.original_id:
        interaction.defer_open = False
    _tell(world, interaction)
    return changed


def remove(world: "World", interaction: Interaction, message: Message) -> None:
    posting.delete(world, message)
    _tell(world, interaction)


def message_of(interaction: Interaction, name: str) -> Message:
    """`@original` or the id of a message of this interaction.

    Raises:
        Refusal: 10008 when there is none.
    """
    if name == "@original":
        wanted = interaction.original_id
    else:
        wanted = int(name) if name.isdecimal() else None
        if wanted != interaction.original_id and wanted not in interaction.followup_ids:
            raise refusal.unknown("Message")
    message = None if wanted is None else interaction.channel.messages.get(wanted)
    if message is None:
        raise refusal.unknown("Message")
    return message


def callback_json(world: "World", interaction: Interaction) -> Json:
    """What `with_response` gives back."""
    told: Json = {"id": str(interaction.id), "type": interaction.kind}
    message = interaction.original
    if message is None or interaction.answered_with not in {REPLY, DEFER, UPDATE, DEFER_UPDATE}:
        return {"interaction": told}
    told |= {
        "response_message_id": str(message.id),
        "response_message_loading": message.loading,
        "response_message_ephemeral": message.ephemeral,
        "channel_id": str(interaction.channel.id),
    }
    if interaction.channel.guild is not None:
        told["guild_id"] = str(interaction.channel.guild.id)
    resource = {"type": interaction.answered_with, "message": wire.message_json(message, world.base_url)}
    return {"interaction": told, "resource": resource}


def _perform(world: "World", interaction: Interaction, kind: int, data: Json, uploads: Sequence[Upload]) -> None:
    if kind == REPLY:
        message_rules.check_message(data)
        message_rules.check_not_empty(data, len(uploads))
        message_rules.check_files(len(uploads), 0, max((len(item.data) for item in uploads), default=0), wire.FILE_LIMIT)
        origin = _origin(interaction, (data.get("flags") or 0) & EPHEMERAL)
        interaction.original_id = posting.create(world, interaction.channel, data, uploads, origin).id
    elif kind == DEFER:
        origin = _origin(interaction, (data.get("flags") or 0) & EPHEMERAL)
        interaction.original_id = posting.placeholder(world, interaction.channel, origin).id
        interaction.defer_open = True
    elif kind in {UPDATE, DEFER_UPDATE}:
        message = _source_now(interaction)
        interaction.original_id = message.id
        if kind == UPDATE:
            change(world, interaction, message, data, uploads)
    elif kind == CHOICES:
        command_rules.check_choices(data, focused_kind(interaction.data))
        interaction.choices = list(data["choices"])
    else:
        command_rules.check_modal(data)
        interaction.modal = data


def focused_kind(data: Json) -> int:
    """The type of the option that is being completed."""
    for option in data.get("options") or []:
        if option.get("focused"):
            return int(option["type"])
        if option.get("options"):
            return focused_kind(option)
    return command_rules.STRING


def _answer_kind(interaction: Interaction, body: Json) -> int:
    kind = body.get("type")
    allowed = set(_MAY_ANSWER[interaction.kind])
    if interaction.kind == MODAL_SUBMIT and interaction.source is None:
        allowed -= {UPDATE, DEFER_UPDATE}
    if kind is None:
        raise invalid(("type",), "BASE_TYPE_REQUIRED", "This field is required")
    if isinstance(kind, bool) or not isinstance(kind, int) or kind not in allowed:
        listed = ", ".join(str(item) for item in sorted(allowed))
        raise invalid(("type",), "BASE_TYPE_CHOICES", f"Value must be one of ({listed}).")
    return kind


def _source_now(interaction: Interaction) -> Message:
    message = None if interaction.source is None else interaction.channel.messages.get(interaction.source.id)
    if message is None:
        raise refusal.unknown("Message")
    return message


def _origin(interaction: Interaction, flags: int) -> posting.Origin:
    bot = interaction.application.user
    source = interaction.source
    from_command = interaction.command or (interaction.parent.command if interaction.parent else None)
    kind = posting.REPLY if source is not None else 20
    if source is None and from_command is not None and from_command.kind != command_rules.CHAT_INPUT:
        kind = 23
    return posting.Origin(
        author=posting.author_of(bot),
        bits=permissions_in(interaction.channel, bot.id),
        default=mentions.USERS,
        kind=kind,
        flags=flags,
        webhook_id=interaction.application.id,
        application_id=interaction.application.id,
        interaction=metadata(interaction),
        command_name=interaction.command.name if interaction.command else None,
        reply_to=None if source is None else source.id,
        ephemeral_for=interaction.user.id if flags & EPHEMERAL else None,
    )


def metadata(interaction: Interaction) -> Json:
    """`interaction_metadata` of what answers it."""
    body: Json = {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": wire.user_json(interaction.user),
        "authorizing_integration_owners": owners(interaction),
    }
    if interaction.kind == COMMAND and interaction.command is not None:
        body["name"] = interaction.command.name
    if interaction.kind == COMPONENT and interaction.source is not None:
        body["interacted_message_id"] = str(interaction.source.id)
    if interaction.kind == MODAL_SUBMIT and interaction.parent is not None:
        body["triggering_interaction_metadata"] = metadata(interaction.parent)
    return body


def owners(interaction: Interaction) -> dict[str, str]:
    """Who authorised the application here: the server, the user, or both."""
    guild = interaction.channel.guild
    found: dict[str, str] = {}
    if guild is not None and interaction.application.id in guild.members:
        found["0"] = str(guild.id)
    elif guild is None:
        found["0"] = "0"
    if interaction.user.id in interaction.application.installed_by:
        found["1"] = str(interaction.user.id)
    return found


def _payload(world: "World", interaction: Interaction) -> Json:
    channel, guild, user = interaction.channel, interaction.channel.guild, interaction.user
    body: Json = {
        "id": str(interaction.id),
        "application_id": str(interaction.application.id),
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": str(channel.id),
        "channel": wire.interaction_channel_json(channel, user.id),
        "locale": user.locale,
        "entitlements": [],
        "authorizing_integration_owners": owners(interaction),
        "attachment_size_limit": wire.FILE_LIMIT,
        "app_permissions": str(permissions_in(channel, interaction.application.id)),
        "context": 1 if guild is None else 0,
    }
    if guild is None:
        body["user"] = wire.user_json(user)
    else:
        member = guild.members[user.id]
        body["guild_id"] = str(guild.id)
        body["guild"] = {"id": str(guild.id), "locale": guild.locale, "features": []}
        body["guild_locale"] = guild.locale
        body["member"] = wire.member_json(member) | {"permissions": str(guild.permissions_in(channel, user.id))}
    if interaction.source is not None:
        body["message"] = wire.message_json(interaction.source, world.base_url)
    return body


def _too_late(world: "World", interaction: Interaction) -> bool:
    if interaction.answered_with is not None:
        return False
    return interaction.failed or world.clock.time() - interaction.opened_at > ACKNOWLEDGE_SECONDS


def _expire(world: "World", interaction: Interaction) -> None:
    if interaction.answered_with is None:
        interaction.failed = True
        _tell(world, interaction)


def _tell(world: "World", interaction: Interaction) -> None:
    data: Json = {"id": interaction.id}
    world.events.emit(Event(CHANGED, data, interaction.channel.guild, interaction.channel, application_id=interaction.application.id))
