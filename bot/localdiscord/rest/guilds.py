"""/guilds: servers with their channels, roles and members."""

from typing import Any

from bot.localdiscord import wire
from bot.localdiscord.events import Event
from bot.localdiscord.objects import Guild, Member, Role
from bot.localdiscord.permissions import Permissions
from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import boolean, check, form, integer, one_of, text

Json = dict[str, Any]

routes = Routes()


@routes.add("GET", "/guilds/{guild_id}")
def guild(call: Call) -> Answer:
    found = call.guild()
    body = wire.guild_json(found)
    if call.flag("with_counts"):
        body |= {"approximate_member_count": len(found.members), "approximate_presence_count": 1}
    return 200, body


@routes.add("GET", "/guilds/{guild_id}/channels")
def channels(call: Call) -> Answer:
    return 200, [wire.channel_json(channel) for channel in call.guild().channels.values()]


@routes.add("POST", "/guilds/{guild_id}/channels")
def create_channel(call: Call) -> Answer:
    found = call.guild()
    if not found.permissions_of(call.application.id) & Permissions.MANAGE_CHANNELS:
        raise refusal.missing_permissions()
    check(
        call.body,
        form(
            {"name": text(1, 100), "type": one_of((0,)), "topic": text(0, 1024), "nsfw": boolean, "position": integer(0)}, needs=("name",)
        ),
    )
    channel = found.add_channel(call.form["name"], topic=call.form.get("topic"), nsfw=bool(call.form.get("nsfw")))
    return 201, wire.channel_json(channel)


@routes.add("GET", "/guilds/{guild_id}/roles")
def roles(call: Call) -> Answer:
    return 200, [wire.role_json(role) for role in call.guild().roles.values()]


@routes.add("GET", "/guilds/{guild_id}/roles/{role_id}")
def role(call: Call) -> Answer:
    found = call.guild().roles.get(call.id("role_id"))
    if found is None:
        raise refusal.unknown("Role")
    return 200, wire.role_json(found)


@routes.add("GET", "/guilds/{guild_id}/members")
def members(call: Call) -> Answer:
    found = call.guild()
    if not call.application.members_intent:
        raise refusal.missing_access()
    after = call.snowflake("after") or 0
    limit = call.number("limit", 1, 1, 1000)
    listed = sorted((member for key, member in found.members.items() if key > after), key=lambda member: member.user.id)
    return 200, [wire.member_json(member) for member in listed[:limit]]


@routes.add("GET", "/guilds/{guild_id}/members/search")
def search_members(call: Call) -> Answer:
    wanted = call.query.get("query", "").lower()
    limit = call.number("limit", 1, 1, 1000)
    found = [item for item in call.guild().members.values() if (item.nick or item.user.shown_name).lower().startswith(wanted)]
    return 200, [wire.member_json(item) for item in found[:limit]]


@routes.add("GET", "/guilds/{guild_id}/members/{user_id}")
def member(call: Call) -> Answer:
    found = call.guild().members.get(call.id("user_id"))
    if found is None:
        raise refusal.unknown("Member")
    return 200, wire.member_json(found)


@routes.add("PATCH", "/guilds/{guild_id}/members/@me")
def change_me(call: Call) -> Answer:
    found = call.guild()
    check(call.form, form({"nick": text(0, 32)}))
    mine: Member = found.members[call.application.id]
    if "nick" in call.form:
        mine.nick = call.form["nick"] or None
    call.world.events.emit(Event("GUILD_MEMBER_UPDATE", wire.member_json(mine) | {"guild_id": str(found.id)}, found))
    return 200, wire.member_json(mine)


@routes.add("GET", "/guilds/{guild_id}/webhooks")
def webhooks(call: Call) -> Answer:
    found = call.guild()
    if not found.permissions_of(call.application.id) & Permissions.MANAGE_WEBHOOKS:
        raise refusal.missing_permissions()
    mine = [hook for hook in call.world.webhooks.values() if hook.guild is found]
    return 200, [wire.webhook_json(hook, call.world.base_url, with_token=hook.application_id == call.application.id) for hook in mine]


@routes.add("GET", "/guilds/{guild_id}/emojis")
def emojis(call: Call) -> Answer:
    """This World has no custom emojis."""
    call.guild()
    return 200, []


@routes.add("PUT", "/guilds/{guild_id}/members/{user_id}/roles/{role_id}")
def give_role(call: Call) -> Answer:
    found, target, wanted = _role_of_member(call)
    call.world.give_role(found, target, wanted)
    return NO_CONTENT


@routes.add("DELETE", "/guilds/{guild_id}/members/{user_id}/roles/{role_id}")
def take_role(call: Call) -> Answer:
    found, target, wanted = _role_of_member(call)
    call.world.take_role(found, target, wanted)
    return NO_CONTENT


def _role_of_member(call: Call) -> tuple[Guild, Member, Role]:
    found = call.guild()
    if not found.permissions_of(call.application.id) & Permissions.MANAGE_ROLES:
        raise refusal.missing_permissions()
    target, wanted = found.members.get(call.id("user_id")), found.roles.get(call.id("role_id"))
    if target is None:
        raise refusal.unknown("Member")
    if wanted is None:
        raise refusal.unknown("Role")
    return found, target, wanted
