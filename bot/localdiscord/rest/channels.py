"""/channels: a channel itself, who may do what there, typing."""

from typing import Any

from bot.localdiscord import wire
from bot.localdiscord.events import Event
from bot.localdiscord.objects import Overwrite
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes
from bot.localdiscord.rules.forms import bits, boolean, check, form, integer, one_of, text
from bot.localdiscord.rules.refusal import unknown

Json = dict[str, Any]

routes = Routes()


@routes.add("GET", "/channels/{channel_id}")
def channel(call: Call) -> Answer:
    return 200, wire.channel_json(call.channel())


@routes.add("PATCH", "/channels/{channel_id}")
def change(call: Call) -> Answer:
    found = call.channel(Permissions.MANAGE_CHANNELS)
    check(call.form, form({"name": text(1, 100), "topic": text(0, 1024), "nsfw": boolean, "position": integer(0)}))
    found.name = call.form.get("name") or found.name
    found.topic = call.form.get("topic", found.topic)
    found.nsfw = bool(call.form.get("nsfw", found.nsfw))
    found.position = call.form.get("position") or found.position
    call.world.tell_channel(found)
    return 200, wire.channel_json(found)


@routes.add("DELETE", "/channels/{channel_id}")
def delete(call: Call) -> Answer:
    """A direct message is only closed by this: it stays."""
    found = call.channel()
    if found.guild is not None:
        call.world.remove_channel(call.channel(Permissions.MANAGE_CHANNELS))
    return 200, wire.channel_json(found)


@routes.add("PUT", "/channels/{channel_id}/permissions/{overwrite_id}")
def overwrite(call: Call) -> Answer:
    found = call.channel(Permissions.MANAGE_ROLES)
    check(call.form, form({"type": one_of((0, 1)), "allow": bits, "deny": bits}, needs=("type",)))
    key, body = call.id("overwrite_id"), call.form
    found.overwrites[key] = Overwrite(key, body["type"], int(body.get("allow") or 0), int(body.get("deny") or 0))
    call.world.tell_channel(found)
    return NO_CONTENT


@routes.add("DELETE", "/channels/{channel_id}/permissions/{overwrite_id}")
def delete_overwrite(call: Call) -> Answer:
    found = call.channel(Permissions.MANAGE_ROLES)
    if found.overwrites.pop(call.id("overwrite_id"), None) is None:
        raise unknown("Overwrite")
    call.world.tell_channel(found)
    return NO_CONTENT


@routes.add("POST", "/channels/{channel_id}/typing")
def typing(call: Call) -> Answer:
    found = call.channel(Permissions.SEND_MESSAGES)
    data: Json = {"channel_id": str(found.id), "user_id": str(call.application.id), "timestamp": int(call.world.clock.time())}
    if found.guild is not None:
        data |= {"guild_id": str(found.guild.id), "member": wire.member_json(found.guild.members[call.application.id])}
    call.world.events.emit(Event("TYPING_START", data, found.guild, found))
    return NO_CONTENT
