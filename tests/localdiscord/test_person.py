"""People at the client: what they are offered, what they may fill in, what they see."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.localdiscord import File, NoReply, NotPossible, Permissions
from tests.localdiscord.scene import Scene, scene_with_bot

Json = dict[str, Any]
REPLY, DEFER, CHOICES = 4, 5, 8
STRING, INTEGER, BOOLEAN, USER, CHANNEL, ROLE, MENTIONABLE, NUMBER, ATTACHMENT = range(3, 12)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with_bot() as made:
        yield made


def option(name: str, kind: int, **more: object) -> Json:
    return {"name": name, "type": kind, "description": "d", **more}


async def register(scene: Scene, *commands: Json, guild: bool = False) -> None:
    scope = f"/guilds/{scene.guild.id}" if guild else ""
    bodies = [{"description": "d", **command} if command.get("type", 1) == 1 else command for command in commands]
    answer = await scene.rest("PUT", f"/applications/{scene.app.id}{scope}/commands", bodies)
    assert answer.status == 200, answer.body


# --- what is offered


async def test_only_synced_commands_can_be_used(scene: Scene) -> None:
    with pytest.raises(NotPossible, match=r"no command 'goodbye'.*hello"):
        await scene.alice.slash("goodbye", channel=scene.channel)
    await register(scene)
    with pytest.raises(NotPossible):
        await scene.alice.slash("hello", channel=scene.channel)


async def test_a_servers_own_command_wins_over_the_global_one(scene: Scene) -> None:
    await register(scene, {"name": "hello", "options": [option("here", STRING)]}, guild=True)
    asked = await scene.acted(scene.alice.slash("hello", {"here": "x"}, channel=scene.channel))
    assert asked.data["data"]["guild_id"] == str(scene.guild.id)
    elsewhere = scene.world.add_guild("Nest")
    scene.world.install(scene.app, elsewhere)
    asked = await scene.acted(scene.alice.slash("hello", {"text": "x"}, channel=elsewhere.add_channel("twigs")))
    assert "guild_id" not in asked.data["data"]


@pytest.mark.parametrize(
    ("needed", "held", "offered"),
    [
        (None, 0, True),
        (Permissions.MANAGE_GUILD, 0, False),
        (Permissions.MANAGE_GUILD, Permissions.MANAGE_GUILD, True),
        (Permissions.MANAGE_GUILD | Permissions.KICK_MEMBERS, Permissions.MANAGE_GUILD, False),
        (0, Permissions.MANAGE_GUILD, False),
        (0, Permissions.ADMINISTRATOR, True),
    ],
)
async def test_default_member_permissions(needed: int | None, held: int, offered: bool, scene: Scene) -> None:
    await register(scene, {"name": "rule", "default_member_permissions": None if needed is None else str(int(needed))})
    scene.guild.give(scene.alice, scene.guild.add_role("held", permissions=held))
    assert [command.name for command in scene.alice.commands(scene.channel)] == (["rule"] if offered else [])


async def test_commands_belong_to_their_places(scene: Scene) -> None:
    await register(
        scene,
        {"name": "anywhere"},
        {"name": "server", "contexts": [0]},
        {"name": "direct", "contexts": [1]},
        {"name": "old", "dm_permission": False},
        {"name": "adult", "nsfw": True},
    )

    def offered(channel: Any) -> list[str]:
        return [command.name for command in scene.alice.commands(channel)]

    assert offered(scene.channel) == ["anywhere", "server", "old"]
    assert offered(scene.guild.add_channel("cave", nsfw=True)) == ["anywhere", "server", "old", "adult"]
    assert offered(scene.alice.direct(scene.app)) == ["anywhere", "direct"]


async def test_a_command_in_direct_messages_comes_from_a_user(scene: Scene) -> None:
    asked = await scene.acted(scene.alice.slash("hello", channel=scene.alice.direct(scene.app)))
    assert (asked.data["user"]["id"], asked.data["context"]) == (str(scene.alice.id), 1)
    assert not {"member", "guild_id"} & asked.data.keys()


async def test_a_user_installed_command_works_without_the_bot(scene: Scene) -> None:
    await register(scene, {"name": "mine", "integration_types": [1]}, {"name": "theirs", "integration_types": [0]})
    elsewhere = scene.world.add_guild("Nest").add_channel("twigs")
    assert scene.alice.commands(elsewhere) == []
    scene.world.install_for(scene.app, scene.alice)
    assert [command.name for command in scene.alice.commands(elsewhere)] == ["mine"]
    asked = await scene.acted(scene.alice.slash("mine", channel=elsewhere))
    assert asked.data["authorizing_integration_owners"] == {"1": str(scene.alice.id)}
    assert (await asked.answer(REPLY, content="0")).status == 200
    codes = [(await scene.rest("POST", asked.webhook, {"content": f"{n}"}, token="")).code for n in range(6)]
    assert codes == [0] * 5 + [40094]


async def test_who_cannot_use_commands_is_told_so(scene: Scene) -> None:
    scene.channel.deny(scene.alice, Permissions.USE_APPLICATION_COMMANDS)
    with pytest.raises(NotPossible, match="USE_APPLICATION_COMMANDS"):
        await scene.alice.slash("hello", channel=scene.channel)


# --- filling in


@pytest.mark.parametrize(
    ("fields", "value", "problem"),
    [
        pytest.param(option("o", STRING, required=True), None, "required", id="missing"),
        pytest.param(option("o", STRING), 5, "takes text", id="number for text"),
        pytest.param(option("o", STRING, min_length=3), "ab", "3 to 6000", id="too short"),
        pytest.param(option("o", STRING, max_length=3), "abcd", "0 to 3", id="too long"),
        pytest.param(option("o", STRING, choices=[{"name": "A", "value": "a"}]), "b", "offers", id="no such choice"),
        pytest.param(option("o", INTEGER), 1.5, "whole", id="half a number"),
        pytest.param(option("o", INTEGER), True, "whole", id="true for a number"),
        pytest.param(option("o", INTEGER, min_value=1, max_value=5), 6, "1 to 5", id="too much"),
        pytest.param(option("o", BOOLEAN), "yes", "true or false", id="text for a boolean"),
        pytest.param(option("o", ATTACHMENT), "x.zip", "takes a File", id="text for a file"),
        pytest.param(option("o", USER), "bob", "does not take", id="text for a user"),
        pytest.param(option("other", STRING), "x", "no option", id="unknown option"),
    ],
)
async def test_the_client_refuses(fields: Json, value: object, problem: str, scene: Scene) -> None:
    await register(scene, {"name": "ask", "options": [fields]})
    with pytest.raises(NotPossible, match=problem):
        await scene.alice.slash("ask", {} if value is None else {"o": value}, channel=scene.channel)


async def test_every_kind_of_option_with_what_it_resolves_to(scene: Scene) -> None:
    kinds = {"s": STRING, "i": INTEGER, "b": BOOLEAN, "u": USER, "c": CHANNEL, "r": ROLE, "m": MENTIONABLE, "n": NUMBER, "a": ATTACHMENT}
    await register(scene, {"name": "ask", "options": [option(name, kind) for name, kind in kinds.items()]})
    role = scene.guild.add_role("birds")
    values = {
        "s": "x",
        "i": 3,
        "b": False,
        "u": scene.bob,
        "c": scene.hidden,
        "r": role,
        "m": scene.app,
        "n": 2.5,
        "a": File("x.zip", b"abc"),
    }
    asked = await scene.acted(scene.alice.slash("ask", values, channel=scene.channel))
    data = asked.data["data"]
    given = {item["name"]: item["value"] for item in data["options"]}
    file_id = given.pop("a")
    ids = {"u": str(scene.bob.id), "c": str(scene.hidden.id), "r": str(role.id), "m": str(scene.app.id)}
    assert given == {"s": "x", "i": 3, "b": False, "n": 2.5} | ids
    assert set(data["resolved"]["users"]) == set(data["resolved"]["members"]) == {str(scene.bob.id), str(scene.app.id)}
    assert (set(data["resolved"]["channels"]), set(data["resolved"]["roles"])) == ({ids["c"]}, {ids["r"]})
    assert data["resolved"]["attachments"][file_id]["size"] == 3


async def test_sub_commands(scene: Scene) -> None:
    inner = {"name": "list", "type": 1, "description": "d", "options": [option("page", INTEGER)]}
    deep = {"name": "old", "type": 2, "description": "d", "options": [inner]}
    await register(scene, {"name": "jobs", "options": [inner, deep]})
    asked = await scene.acted(scene.alice.slash("jobs old list", {"page": 2}, channel=scene.channel))
    page = {"name": "page", "type": INTEGER, "value": 2}
    assert asked.data["data"]["options"] == [{"name": "old", "type": 2, "options": [{"name": "list", "type": 1, "options": [page]}]}]
    for wrong in ("jobs", "jobs show", "jobs list old", "jobs old"):
        with pytest.raises(NotPossible):
            await scene.alice.slash(wrong, channel=scene.channel)


async def test_a_choice_may_be_named_by_what_is_shown(scene: Scene) -> None:
    await register(scene, {"name": "ask", "options": [option("o", INTEGER, choices=[{"name": "Seven", "value": 7}])]})
    asked = await scene.acted(scene.alice.slash("ask", {"o": "Seven"}, channel=scene.channel))
    assert asked.data["data"]["options"][0]["value"] == 7


async def test_autocompletion(scene: Scene) -> None:
    asked = await scene.acted(scene.alice.autocomplete("hello", {"text": "na"}, focused="text", channel=scene.channel))
    assert (asked.data["type"], asked.data["data"]["options"]) == (4, [{"name": "text", "type": STRING, "value": "na", "focused": True}])
    await asked.answer(CHOICES, choices=[{"name": "NASA", "value": "nasa"}])
    assert [(choice.name, choice.value) for choice in await asked.seen] == [("NASA", "nasa")]


async def test_autocompletion_that_is_too_slow(scene: Scene) -> None:
    asked = await scene.acted(scene.alice.autocomplete("hello", {}, focused="text", channel=scene.channel))
    scene.world.clock.advance(3.1)
    with pytest.raises(NoReply, match="Loading options failed"):
        await asked.seen


async def test_an_option_without_autocompletion_offers_nothing(scene: Scene) -> None:
    await register(scene, {"name": "ask", "options": [option("o", STRING)]})
    with pytest.raises(NotPossible):
        await scene.alice.autocomplete("ask", {}, focused="o", channel=scene.channel)


async def test_context_menus(scene: Scene) -> None:
    await register(scene, {"name": "Who is this", "type": 2}, {"name": "Explain", "type": 3})
    asked = await scene.acted(scene.alice.use("Who is this", scene.bob, channel=scene.channel))
    assert asked.data["data"]["target_id"] in asked.data["data"]["resolved"]["users"]
    message = scene.bob.send(scene.channel, "words")
    asked = await scene.acted(scene.alice.use("Explain", message, channel=scene.channel))
    assert asked.data["data"]["resolved"]["messages"][asked.data["data"]["target_id"]]["content"] == "words"
    await asked.answer(REPLY, content="they are words")
    assert (await (await asked.seen).done()).kind == 23


# --- reading and writing


async def test_waiting_sees_what_is_there_what_comes_and_what_changes(scene: Scene) -> None:
    sent = await scene.send("one")
    assert (await scene.alice.wait_for(scene.channel, lambda message: message.content == "one")).id == int(sent["id"])
    waiting = asyncio.ensure_future(scene.alice.wait_for(scene.channel, lambda message: message.content == "two"))
    await scene.rest("PATCH", f"{scene.messages}/{sent['id']}", {"content": "two"})
    assert (await waiting).edited


async def test_what_was_read_stays_as_it_was(scene: Scene) -> None:
    sent = await scene.send("before")
    (read,) = scene.alice.read(scene.channel)
    await scene.rest("PATCH", f"{scene.messages}/{sent['id']}", {"content": "after"})
    assert (read.content, scene.alice.read(scene.channel)[0].content) == ("before", "after")


async def test_people_do_only_what_the_channel_lets_them(scene: Scene) -> None:
    scene.hidden.deny(scene.alice, Permissions.VIEW_CHANNEL)
    scene.muted.deny(scene.alice, Permissions.SEND_MESSAGES)
    with pytest.raises(NotPossible):
        scene.alice.read(scene.hidden)
    with pytest.raises(NotPossible):
        scene.alice.send(scene.muted, "x")
    message = scene.bob.send(scene.channel, "mine")
    with pytest.raises(NotPossible):
        scene.alice.delete(message)
    scene.bob.delete(message)
    assert scene.alice.read(scene.channel) == []


async def test_a_reply_to_somebody_rings_them(scene: Scene) -> None:
    message = scene.bob.send(scene.channel, "question")
    assert scene.alice.send(scene.channel, "answer", reply_to=message).pinged == ("bob",)
