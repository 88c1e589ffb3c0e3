"""A person at the client: types commands, clicks, uploads, reads. Can do only what the client lets people do."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bot.localdiscord import answering, interactions, mentions, offers, posting
from bot.localdiscord.commands import Command
from bot.localdiscord.drafts import Upload
from bot.localdiscord.messages import (
    BUTTON,
    CHANNEL_SELECT,
    LINK_STYLE,
    MENTIONABLE_SELECT,
    ROLE_SELECT,
    SELECTS,
    STRING_SELECT,
    USER_SELECT,
    Message,
    walk,
)
from bot.localdiscord.modals import Modal, submitted_modal
from bot.localdiscord.objects import Application, Channel, User, permissions_in
from bot.localdiscord.options import Filling, NotPossible
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.replies import Choice, NoReply, Reply
from bot.localdiscord.rules import commands as command_rules
from bot.localdiscord.rules import messages as message_rules
from bot.localdiscord.wire_messages import message_json

if TYPE_CHECKING:
    from bot.localdiscord.world import World

Json = dict[str, Any]

_MENTION_KIND = {
    USER_SELECT: command_rules.USER_OPTION,
    ROLE_SELECT: command_rules.ROLE,
    MENTIONABLE_SELECT: command_rules.MENTIONABLE,
    CHANNEL_SELECT: command_rules.CHANNEL,
}

REACTION_SECONDS = 0.05
"""Nobody clicks sooner after seeing something. Clients listen to their buttons only once the answer to their request is in."""


class Person:
    """Somebody with an account. Got from `world.user(name)`."""

    def __init__(self, world: "World", user: User) -> None:
        self.world = world
        self.user = user

    @property
    def id(self) -> int:
        return self.user.id

    @property
    def name(self) -> str:
        return self.user.name

    def __repr__(self) -> str:
        return f"<Person {self.name}>"

    # --- reading

    def read(self, channel: Channel) -> list[Message]:
        """The messages that this person sees in a channel, oldest first."""
        self._need(channel, Permissions.VIEW_CHANNEL | Permissions.READ_MESSAGE_HISTORY)
        return [message for message in channel.messages.values() if self._sees(message)]

    async def wait_for(self, channel: Channel, predicate: Callable[[Message], bool], timeout: float = 10) -> Message:  # noqa: ASYNC109 - part of the contract
        """The first message for which the predicate holds, there already, new or after an edit.

        Raises:
            TimeoutError: none within `timeout` seconds of real time; names what was seen.
        """
        with self.world.events.subscribe() as events:
            for message in self.read(channel):
                if predicate(message):
                    return message
            try:
                async with asyncio.timeout(timeout):
                    while True:
                        event = await events.get()
                        new = event.message
                        if new is None or new.channel is not channel or event.name == "MESSAGE_DELETE":
                            continue
                        if self._sees(new) and predicate(new):
                            return new
            except TimeoutError:
                seen = "\n".join(f"  {item.author_name}: {item.text!r}" for item in self.read(channel)[-10:])
                raise TimeoutError(f"no such message in #{channel.name} within {timeout:g} s; {self.name} sees\n{seen}") from None

    def commands(self, channel: Channel) -> list[Command]:
        """The commands that the client offers in a channel."""
        return offers.commands(self.world, channel, self.user)

    # --- writing

    def send(self, channel: Channel, content: str = "", *, files: Sequence[Upload] = (), reply_to: Message | None = None) -> Message:
        """Write an ordinary message."""
        needed = Permissions.VIEW_CHANNEL | Permissions.SEND_MESSAGES
        self._need(channel, needed | Permissions.ATTACH_FILES if files else needed)
        body: Json = {"content": content}
        message_rules.check_message(body)
        message_rules.check_not_empty(body, len(files))
        origin = posting.Origin(
            author=posting.author_of(self.user),
            bits=permissions_in(channel, self.id),
            default=mentions.EVERYTHING,
            kind=0 if reply_to is None else posting.REPLY,
            reply_to=None if reply_to is None else reply_to.id,
        )
        return posting.create(self.world, channel, body, files, origin)

    def delete(self, message: Message) -> None:
        """Delete a message of one's own, or any with the permission for it."""
        current = self._current(message)
        if current.author.id != self.id:
            self._need(current.channel, Permissions.MANAGE_MESSAGES)
        posting.delete(self.world, current)

    def direct(self, application: Application) -> Channel:
        """The direct messages with a bot."""
        return self.world.direct(application, self.user)

    # --- commands

    async def slash(
        self, command: str, values: Mapping[str, object] | None = None, *, channel: Channel, application: Application | None = None
    ) -> Reply:
        """Use a slash command: "say", or "jobs list" with its sub-command. Returns at once; `await reply.done()` waits.

        Raises:
            NotPossible: no such command here, or a value that the client would not take.
        """
        name, *path = command.split()
        found = self._find(name, command_rules.CHAT_INPUT, channel, application)
        filling = Filling(self.world, channel, values or {})
        options = filling.fill(name, found.options, path)
        typed = " ".join(f"{key}:{_shown(value)}" for key, value in (values or {}).items())
        self.world.transcript.say(channel.name, self.name, f"/{command} {typed}".rstrip())
        return self._use(found, channel, options, filling.resolved)

    async def autocomplete(
        self,
        command: str,
        values: Mapping[str, object],
        *,
        focused: str,
        channel: Channel,
        application: Application | None = None,
        timeout: float = 5,  # noqa: ASYNC109 - part of the contract
    ) -> list[Choice]:
        """Type into one option and read what is offered. What has been typed so far stands in `values`.

        Raises:
            NoReply: loading the options failed.
        """
        name, *path = command.split()
        found = self._find(name, command_rules.CHAT_INPUT, channel, application)
        filling = Filling(self.world, channel, {focused: "", **values}, focused=focused)
        options = filling.fill(name, found.options, path)
        if not _autocompletes(found.options, path, focused):
            raise NotPossible(f"/{command}: the option {focused!r} offers nothing while typing")
        data = self._command_data(found, options, filling.resolved)
        return await self._open(
            interactions.AUTOCOMPLETE, self.world.applications[found.application_id], channel, data, command=found
        ).choices(timeout)

    async def use(self, command: str, target: "Person | Application | Message", *, channel: Channel) -> Reply:
        """Use a command of the context menu on a user or a message."""
        kind = command_rules.MESSAGE if isinstance(target, Message) else command_rules.USER
        found = self._find(command, kind, channel, None)
        filling = Filling(self.world, channel, {})
        if isinstance(target, Message):
            current = self._current(target)
            resolved = {"messages": {str(current.id): message_json(current, self.world.base_url)}}
        else:
            filling.mention(command, command_rules.USER_OPTION, target)
            resolved = filling.resolved
        data = self._command_data(found, None, resolved) | {"target_id": str(target.id)}
        return self._open(interactions.COMMAND, self.world.applications[found.application_id], channel, data, command=found)

    # --- components

    async def click(self, message: Message, button: str) -> Reply:
        """Press a button, named by its label or its custom_id.

        Raises:
            NotPossible: no such button, disabled, a link, or a message that is gone or somebody else's.
        """
        await asyncio.sleep(REACTION_SECONDS)
        current = self._current(message)
        parts = [part for part in walk(current.components) if part["type"] == BUTTON]
        found = next((part for part in parts if button in {part.get("custom_id"), part.get("label")}), None)
        if found is None:
            raise NotPossible(f"there is no button {button!r}, only {[item.label for item in current.buttons]}")
        if found["style"] == LINK_STYLE:
            raise NotPossible(f"the button {button!r} is a link")
        self.world.transcript.say(current.channel.name, self.name, f"clicks [{found.get('label') or found['custom_id']}]")
        return self._use_component(current, found, {})

    async def select(self, message: Message, custom_id: str, values: Sequence[object]) -> Reply:
        """Choose in a select menu: options by value or label; users, roles or channels as they are.

        Raises:
            NotPossible: not offered, too few or too many, disabled.
        """
        await asyncio.sleep(REACTION_SECONDS)
        current = self._current(message)
        found = current.component(custom_id)
        if found is None or found["type"] not in SELECTS:
            raise NotPossible(f"there is no menu {custom_id!r}")
        if not found["min_values"] <= len(values) <= found["max_values"]:
            raise NotPossible(f"the menu {custom_id!r} takes {found['min_values']} to {found['max_values']} values, not {len(values)}")
        if found["type"] == STRING_SELECT:
            return self._use_component(current, found, {"values": [_option_value(found, value) for value in values]})
        filling = Filling(self.world, current.channel, {})
        kind = _MENTION_KIND[found["type"]]
        chosen = [filling.mention(f"the menu {custom_id!r}", kind, value, found.get("channel_types")) for value in values]
        return self._use_component(current, found, {"values": chosen, "resolved": filling.resolved})

    async def submit(self, modal: Modal, values: Mapping[str, object]) -> Reply:
        """Fill in a modal, fields named by custom_id or label, and send it.

        Raises:
            NotPossible: an unknown field, a missing one, or a value of the wrong length.
        """
        await asyncio.sleep(REACTION_SECONDS)
        parent = modal.interaction
        data = {"custom_id": modal.custom_id, "components": submitted_modal(modal, values)}
        return self._open(interactions.MODAL_SUBMIT, parent.application, parent.channel, data, source=parent.source, parent=parent)

    # --- inside

    def _sees(self, message: Message) -> bool:
        return message.ephemeral_for in {None, self.id}

    def _need(self, channel: Channel, bits: int) -> None:
        missing = bits & ~permissions_in(channel, self.id)
        if missing:
            raise NotPossible(f"{self.name} may not do that in #{channel.name}: {Permissions(missing)!r} is missing")

    def _current(self, message: Message) -> Message:
        self._need(message.channel, Permissions.VIEW_CHANNEL)
        current = message.channel.messages.get(message.id)
        if current is None or not self._sees(current):
            raise NotPossible(f"{self.name} does not see this message (it is deleted or somebody else's)")
        return current

    def _find(self, name: str, kind: int, channel: Channel, application: Application | None) -> Command:
        self._need(channel, Permissions.VIEW_CHANNEL | Permissions.USE_APPLICATION_COMMANDS)
        offered = [
            item
            for item in self.commands(channel)
            if item.kind == kind and application in {None, self.world.applications[item.application_id]}
        ]
        # The server's own command is the later one and wins over a global one of the same name.
        found = next((command for command in reversed(offered) if command.name == name), None)
        if found is None:
            raise NotPossible(
                f"{self.name} is offered no command {name!r} in #{channel.name}, only {sorted(item.name for item in offered)}"
            )
        return found

    def _use(self, command: Command, channel: Channel, options: list[Json], resolved: Json) -> Reply:
        data = self._command_data(command, options, resolved)
        return self._open(interactions.COMMAND, self.world.applications[command.application_id], channel, data, command=command)

    @staticmethod
    def _command_data(command: Command, options: list[Json] | None, resolved: Json) -> Json:
        data: Json = {"id": str(command.id), "name": command.name, "type": command.kind}
        if command.guild_id is not None:
            data["guild_id"] = str(command.guild_id)
        if options:
            data["options"] = options
        if resolved:
            data["resolved"] = resolved
        return data

    def _use_component(self, message: Message, part: Json, more: Json) -> Reply:
        if part.get("disabled"):
            raise NotPossible(f"{part.get('label') or part['custom_id']!r} is disabled")
        if message.loading:
            raise NotPossible("the message is still loading")
        data = {"component_type": part["type"], "custom_id": part["custom_id"], "id": part["id"]} | more
        return self._open(interactions.COMPONENT, self._application_of(message), message.channel, data, source=message)

    def _application_of(self, message: Message) -> Application:
        webhook = None if message.webhook_id is None else self.world.webhooks.get(message.webhook_id)
        owner = message.application_id or (None if webhook is None else webhook.application_id) or message.author.id
        application = self.world.applications.get(owner)
        if application is None:
            raise NotPossible("no application listens to this message")
        return application

    def _open(self, kind: int, application: Application, channel: Channel, data: Json, **more: Any) -> Reply:  # noqa: ANN401 - fields of Interaction
        interaction = answering.new(self.world, application, self.user, channel, kind=kind, data=data, **more)
        return Reply(self.world, answering.open_interaction(self.world, interaction))


def _autocompletes(options: Sequence[Json], path: Sequence[str], focused: str) -> bool:
    for name in path:
        options = next(option for option in options if option["name"] == name).get("options") or []
    return any(option["name"] == focused and option.get("autocomplete") for option in options)


def _option_value(part: Json, value: object) -> str:
    for option in part["options"]:
        if value in (option["value"], option["label"]):
            return str(option["value"])
    raise NotPossible(f"the menu offers {[option['label'] for option in part['options']]}, not {value!r}")


def _shown(value: object) -> str:
    if isinstance(value, Upload):
        return value.filename
    return str(getattr(value, "name", value))


__all__ = ["Choice", "Modal", "NoReply", "NotPossible", "Person", "Reply"]
