"""/applications/{id}/commands, global and of one server."""

from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import invalid

routes = Routes()

EVERYWHERE = "/applications/{application_id}/commands"
IN_GUILD = "/applications/{application_id}/guilds/{guild_id}/commands"


@routes.add("GET", EVERYWHERE)
@routes.add("GET", IN_GUILD)
def listing(call: Call) -> Answer:
    localizations = call.flag("with_localizations")
    return 200, [command.json(localizations=localizations) for command in call.world.commands.registered(*_scope(call))]


@routes.add("POST", EVERYWHERE)
@routes.add("POST", IN_GUILD)
def create(call: Call) -> Answer:
    command, is_new = call.world.commands.create(*_scope(call), call.form)
    return 201 if is_new else 200, command.json()


@routes.add("PUT", EVERYWHERE)
@routes.add("PUT", IN_GUILD)
def overwrite(call: Call) -> Answer:
    if not isinstance(call.body, list):
        raise invalid((), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    return 200, [command.json() for command in call.world.commands.overwrite(*_scope(call), call.body)]


@routes.add("GET", EVERYWHERE + "/{command_id}")
@routes.add("GET", IN_GUILD + "/{command_id}")
def get(call: Call) -> Answer:
    return 200, call.world.commands.get(*_scope(call), call.id("command_id")).json()


@routes.add("PATCH", EVERYWHERE + "/{command_id}")
@routes.add("PATCH", IN_GUILD + "/{command_id}")
def change(call: Call) -> Answer:
    return 200, call.world.commands.change(*_scope(call), call.id("command_id"), call.form).json()


@routes.add("DELETE", EVERYWHERE + "/{command_id}")
@routes.add("DELETE", IN_GUILD + "/{command_id}")
def delete(call: Call) -> Answer:
    call.world.commands.delete(*_scope(call), call.id("command_id"))
    return NO_CONTENT


def _scope(call: Call) -> tuple[int, int | None]:
    """Whose commands, and where. A bot manages only its own."""
    if call.id("application_id") != call.application.id:
        raise refusal.missing_access()
    return call.application.id, call.guild().id if "guild_id" in call.params else None
