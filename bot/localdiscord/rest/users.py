"""/users, /oauth2 and /applications/@me."""

import base64
import binascii
from typing import Any

from bot.localdiscord import wire
from bot.localdiscord.objects import User
from bot.localdiscord.rest.call import NO_CONTENT, Answer, Call, Routes
from bot.localdiscord.rules import refusal
from bot.localdiscord.rules.forms import Shape, check, form, snowflake, text
from bot.localdiscord.rules.messages import data_image
from bot.localdiscord.world import World

Json = dict[str, Any]

routes = Routes()


@routes.add("GET", "/users/@me")
def me(call: Call) -> Answer:
    return 200, wire.me_json(call.application.user)


@routes.add("PATCH", "/users/@me")
def change_me(call: Call) -> Answer:
    fields: dict[str, Shape] = {"username": text(2, 32), "avatar": data_image}
    check(call.form, form(fields))
    user = call.application.user
    user.name = call.form.get("username") or user.name
    if "avatar" in call.form:
        user.avatar = stored_picture(call.world, user.id, call.form["avatar"])
    return 200, wire.me_json(user)


@routes.add("GET", "/users/@me/guilds")
def my_guilds(call: Call) -> Answer:
    limit = call.number("limit", 200, 1, 200)
    before, after = call.snowflake("before"), call.snowflake("after")
    mine = sorted(call.world.guilds_of(call.application.id), key=lambda guild: guild.id)
    mine = [guild for guild in mine if (before is None or guild.id < before) and (after is None or guild.id > after)]
    return 200, [
        {
            "id": str(guild.id),
            "name": guild.name,
            "icon": None,
            "banner": None,
            "owner": False,
            "permissions": str(guild.permissions_of(call.application.id)),
            "features": [],
        }
        for guild in mine[:limit]
    ]


@routes.add("DELETE", "/users/@me/guilds/{guild_id}")
def leave_guild(call: Call) -> Answer:
    call.world.expel(call.application, call.guild())
    return NO_CONTENT


@routes.add("POST", "/users/@me/channels")
def open_direct(call: Call) -> Answer:
    check(call.form, form({"recipient_id": snowflake}, needs=("recipient_id",)))
    user = _user(call.world, int(call.form["recipient_id"]))
    if user.bot:
        raise refusal.cannot_message_user()
    return 200, wire.channel_json(call.world.direct(call.application, user))


@routes.add("GET", "/users/{user_id}")
def user(call: Call) -> Answer:
    return 200, wire.user_json(_user(call.world, call.id("user_id")))


@routes.add("GET", "/oauth2/applications/@me")
@routes.add("GET", "/applications/@me")
def my_application(call: Call) -> Answer:
    return 200, wire.application_json(call.application, len(call.world.guilds_of(call.application.id)))


def stored_picture(world: World, owner_id: int, picture: str | None) -> str | None:
    """Put a data:image text on the CDN; None takes the picture away."""
    if picture is None:
        return None
    kind, _, encoded = picture.removeprefix("data:").partition(";base64,")
    try:
        return world.store_avatar(owner_id, base64.b64decode(encoded, validate=True), kind)
    except binascii.Error:
        raise refusal.Refusal(400, 50035, "Invalid Form Body", {"avatar": _image_error()}) from None


def _image_error() -> Json:
    return {"_errors": [{"code": "IMAGE_INVALID", "message": "Invalid image data"}]}


def _user(world: World, user_id: int) -> User:
    found = world.users.get(user_id)
    if found is None:
        raise refusal.unknown("User")
    return found
