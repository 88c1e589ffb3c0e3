"""How interactions go: the bot is told, has three seconds to answer and fifteen minutes to go on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.localdiscord import mentions, posting, wire
from bot.localdiscord.drafts import Upload
from bot.localdiscord.events import Event
from bot.localdiscord.interactions import (
    AUTOCOMPLETE,
    CHANGED,
    CHOICES,
    COMMAND,
    COMPONENT,
    DEFER,
    DEFER_UPDATE,
    MODAL,
    MODAL_SUBMIT,
    REPLY,
    UPDATE,
    Interaction,
)
from bot.localdiscord.messages import COMPONENTS_V2, EPHEMERAL, Message
from bot.localdiscord.objects import Application, Channel, User, permissions_in
from bot.localdiscord.rules import commands as command_rules
from bot.localdiscord.rules import messages as message_rules
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import invalid
from bot.localdiscord.snowflakes import interaction_token
from bot.localdiscord.wire_interactions import interaction_json, metadata_json

if TYPE_CHECKING:
    from bot.localdiscord.world import World

Json = dict[str, Any]

ACKNOWLEDGE_SECONDS = 3.0
TOKEN_SECONDS = 15 * 60.0
MOST_FOLLOWUPS_ALONE = 5
"""Further messages where the bot is no member and only the user has installed it."""

_MAY_ANSWER = {
    COMMAND: {REPLY, DEFER, MODAL},
    COMPONENT: {REPLY, DEFER, DEFER_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {REPLY, DEFER, DEFER_UPDATE, UPDATE},
}


def open_interaction(world: "World", interaction: Interaction) -> Interaction:
    """Tell the bot, and start the three seconds."""
    world.interactions[interaction.token] = interaction
    world.clock.call_at(interaction.opened_at + ACKNOWLEDGE_SECONDS, lambda: _expire(world, interaction))
    world.events.emit(
        Event(
            "INTERACTION_CREATE",
            interaction_json(interaction, world.base_url),
            interaction.channel.guild,
            interaction.channel,
            application_id=interaction.application.id,
        )
    )
    return interaction


def new(world: "World", application: Application, user: User, channel: Channel, *, kind: int, data: Json, **more: Any) -> Interaction:  # noqa: ANN401 - fields of Interaction, which checks them
    key = world.snowflakes.make()
    return Interaction(key, interaction_token(key), kind, application, user, channel, world.clock.time(), data, **more)


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
    try:
        _perform(world, interaction, kind, data, uploads)
    except refusal.Refusal as refused:
        raise refused.below("data") from None
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
    if "0" not in interaction.owners and len(interaction.followup_ids) >= MOST_FOLLOWUPS_ALONE:
        raise refusal.too_many_followups()
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
        interaction=metadata_json(interaction),
        command_name=interaction.command.name if interaction.command else None,
        reply_to=None if source is None else source.id,
        ephemeral_for=interaction.user.id if flags & EPHEMERAL else None,
    )


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
