"""The World by itself: time, ids, permissions, mentions, files, history, places, the record."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.localdiscord import File, Permissions, World, WorldClock
from bot.localdiscord.permissions import ALL, effective
from bot.localdiscord.snowflakes import EPOCH_MS, Snowflakes
from tests.localdiscord.scene import Scene, scene_with_bot


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with_bot() as made:
        yield made


# --- time and ids


async def test_alarms_ring_when_the_clock_is_moved_past_them() -> None:
    clock = WorldClock(lambda: 1000.0)
    rung: list[str] = []
    clock.call_at(1003.0, lambda: rung.append("late"))
    clock.call_at(1002.0, lambda: rung.append("early"))
    clock.advance(1.9)
    assert rung == []
    clock.set(datetime.fromtimestamp(1004.0, UTC))
    assert rung == ["early", "late"]
    assert clock.now() == datetime.fromtimestamp(1004.0, UTC)
    clock.close()


async def test_the_clock_runs_on_from_where_it_was_set() -> None:
    seconds = 50.0
    clock = WorldClock(lambda: seconds)
    clock.set(datetime(2030, 3, 31, tzinfo=UTC))
    seconds += 90
    assert clock.now() == datetime(2030, 3, 31, 0, 1, 30, tzinfo=UTC)


@given(st.lists(st.floats(min_value=-5, max_value=5), min_size=1, max_size=200))
def test_ids_rise_and_never_repeat_whatever_the_clock_does(steps: list[float]) -> None:
    now = 1.7e9
    clock = WorldClock(lambda: now)
    ids = Snowflakes(clock)
    made = []
    for step in steps:
        now += step
        made += [ids.make(), ids.make()]
    assert made == sorted(set(made))


def test_an_id_holds_the_worlds_time() -> None:
    world = World()
    world.clock.set(datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC))
    guild = world.add_guild("Aviary")
    made = datetime.fromtimestamp(((guild.id >> 22) + EPOCH_MS) / 1000, UTC)
    assert abs(made - datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)) < timedelta(seconds=5)


def test_a_token_begins_with_the_applications_id() -> None:
    app = World().add_application("Mynah")
    first, *rest = app.token.split(".")
    assert base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode() == str(app.id)
    assert len(rest) == 2


# --- permissions

VIEW, SEND, FILES, HOOKS = Permissions.VIEW_CHANNEL, Permissions.SEND_MESSAGES, Permissions.ATTACH_FILES, Permissions.MANAGE_WEBHOOKS
NONE = (0, 0)


@pytest.mark.parametrize(
    ("base", "everyone", "roles", "member", "expected"),
    [
        pytest.param(VIEW | SEND, NONE, [], NONE, VIEW | SEND, id="nothing changed"),
        pytest.param(VIEW | SEND, (0, SEND), [], NONE, VIEW, id="everyone denied"),
        pytest.param(VIEW | SEND, (0, SEND), [(SEND, 0)], NONE, VIEW | SEND, id="a role beats everyone"),
        pytest.param(VIEW | SEND, NONE, [(0, SEND), (SEND, 0)], NONE, VIEW | SEND, id="among roles allowing wins"),
        pytest.param(VIEW | SEND, NONE, [(SEND, 0)], (0, SEND), VIEW, id="the member beats roles"),
        pytest.param(VIEW | SEND | HOOKS, (0, VIEW), [], NONE, 0, id="who cannot see can do nothing"),
        pytest.param(VIEW | SEND | FILES, (0, SEND), [], NONE, VIEW, id="who cannot send cannot attach"),
        pytest.param(Permissions.ADMINISTRATOR, (0, VIEW), [], (0, VIEW), ALL, id="an administrator may everything"),
    ],
)
def test_overwrites(base: int, everyone: tuple[int, int], roles: list[tuple[int, int]], member: tuple[int, int], expected: int) -> None:
    assert effective(base, everyone, roles, member) == expected


def test_the_owner_may_everything_and_a_stranger_nothing() -> None:
    world = World()
    guild = world.add_guild("Aviary")
    channel = guild.add_channel("general")
    stranger = world.user("stranger", guilds=[])
    assert guild.permissions_of(guild.owner.id) == ALL
    assert guild.permissions_in(channel, stranger.id) == 0


def test_people_join_the_servers_that_are_there_and_those_that_come() -> None:
    world = World()
    first = world.add_guild("Aviary")
    alice = world.user("alice")
    second = world.add_guild("Nest")
    assert {guild.name for guild in world.guilds_of(alice.id)} == {first.name, second.name}
    assert world.user("alice") is alice


# --- mentions


@pytest.mark.parametrize(
    ("text", "pinged"),
    [
        ("<@{bob}>", ["bob"]),
        ("<@!{bob}> <@{bob}>", ["bob"]),
        ("`<@{bob}>`", []),
        ("```\n@everyone\n```", []),
        ("@everyone", ["bob", "carol"]),
        ("@here", ["bob", "carol"]),
        ("<@&{quiet}>", ["carol"]),
        ("<@&{loud}>", ["bob"]),
        ("<@{alice}>", []),
        ("<@123456789012345678>", []),
        ("bob", []),
    ],
)
def test_who_is_pinged_by_a_person(text: str, pinged: list[str]) -> None:
    """Alice writes; by default everyone may ping everyone, as in a new server."""
    world = World()
    guild = world.add_guild("Aviary")
    channel = guild.add_channel("general")
    people = {name: world.user(name) for name in ("alice", "bob", "carol")}
    roles = {"quiet": guild.add_role("quiet"), "loud": guild.add_role("loud", mentionable=True)}
    guild.give(people["carol"], roles["quiet"])
    guild.give(people["bob"], roles["loud"])
    ids = {name: person.id for name, person in people.items()} | {name: role.id for name, role in roles.items()}
    message = people["alice"].send(channel, text.format(**ids))
    assert list(message.pinged) == pinged


def test_without_the_permission_only_mentionable_roles_ping() -> None:
    world = World()
    guild = world.add_guild("Aviary")
    channel = guild.add_channel("general")
    guild.everyone.permissions &= ~Permissions.MENTION_EVERYONE
    alice, bob, carol = (world.user(name) for name in ("alice", "bob", "carol"))
    quiet, loud = guild.add_role("quiet"), guild.add_role("loud", mentionable=True)
    guild.give(bob, quiet)
    guild.give(carol, loud)
    assert alice.send(channel, f"@everyone <@&{quiet.id}>").pinged == ()
    assert alice.send(channel, f"<@&{loud.id}>").pinged == ("carol",)


def test_nobody_is_pinged_where_they_see_nothing() -> None:
    world = World()
    guild = world.add_guild("Aviary")
    channel = guild.add_channel("general")
    alice, bob = world.user("alice"), world.user("bob")
    channel.deny(bob, Permissions.VIEW_CHANNEL)
    assert alice.send(channel, f"@everyone <@{bob.id}>").pinged == ()


async def test_an_edit_pings_nobody(scene: Scene) -> None:
    sent = await scene.send("quiet")
    await scene.rest("PATCH", f"{scene.messages}/{sent['id']}", {"content": f"<@{scene.bob.id}>"})
    (message,) = scene.alice.read(scene.channel)
    assert (message.content, message.pinged, message.edited) == (f"<@{scene.bob.id}>", (), True)


# --- files


async def fetch(url: str) -> tuple[int, bytes, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return reply.status, await reply.read(), reply.content_type


async def test_an_uploaded_file_is_served_as_it_was(scene: Scene) -> None:
    content = bytes(range(256)) + b"\r\n--not a boundary\r\n\r\n"
    answer = await scene.rest("POST", scene.messages, {"content": "here"}, files={"files[0]": content})
    (attachment,) = answer.body["attachments"]
    assert await fetch(attachment["url"]) == (200, content, "application/octet-stream")
    assert (await fetch(attachment["url"] + "x"))[0] == 404


@pytest.mark.parametrize(
    ("name", "kept"),
    [("a b.zip", "a_b.zip"), ("../../etc/passwd", "passwd"), ("c:\\x\\y.js", "y.js"), ("ünï.txt", "n.txt"), ("???", "unknown")],
)
def test_file_names_are_made_safe(name: str, kept: str) -> None:
    world = World()
    channel = world.add_guild("Aviary").add_channel("general")
    (attachment,) = world.user("alice").send(channel, "here", files=[File(name, b"x")]).attachments
    assert attachment.filename == kept


async def test_pictures_are_served(scene: Scene) -> None:
    status, picture, kind = await fetch(f"{scene.server.url}/cdn/embed/avatars/3.png")
    assert (status, picture[:8], kind) == (200, b"\x89PNG\r\n\x1a\n", "image/png")
    avatar = "data:image/png;base64," + base64.b64encode(picture).decode()
    hook = (await scene.rest("POST", f"/channels/{scene.channel.id}/webhooks", {"name": "Bird", "avatar": avatar})).body
    assert await fetch(f"{scene.server.url}/cdn/avatars/{hook['id']}/{hook['avatar']}.png?size=1024") == (200, picture, "image/png")
    assert (await fetch(f"{scene.server.url}/cdn/avatars/{hook['id']}/nothing.png"))[0] == 404


# --- history


async def test_history_in_both_directions(scene: Scene) -> None:
    ids = [(await scene.send(f"{number}"))["id"] for number in range(7)]

    async def contents(query: str) -> str:
        return "".join(message["content"] for message in (await scene.rest("GET", f"{scene.messages}?{query}")).body)

    assert await contents("limit=3") == "654"
    assert await contents(f"before={ids[3]}") == "210"
    assert await contents(f"before={ids[3]}&limit=2") == "21"
    assert await contents(f"after={ids[3]}&limit=2") == "54"
    assert await contents(f"around={ids[3]}&limit=3") == "432"
    assert (await scene.rest("GET", f"{scene.messages}?limit=101")).code == 50035


async def test_history_is_empty_without_the_permission_to_read_back(scene: Scene) -> None:
    await scene.send("past")
    scene.channel.deny(scene.app, Permissions.READ_MESSAGE_HISTORY)
    assert (await scene.rest("GET", scene.messages)).body == []


async def test_a_nonce_is_told_once_and_not_kept(scene: Scene) -> None:
    sent = await scene.send("hello", nonce="abc")
    heard = await scene.gateway.event("MESSAGE_CREATE")
    kept = (await scene.rest("GET", f"{scene.messages}/{sent['id']}")).body
    assert (sent["nonce"], heard["nonce"], "nonce" in kept) == ("abc", "abc", False)


async def test_a_nonce_is_remembered_for_minutes_only(scene: Scene) -> None:
    first = await scene.send("hello", nonce="abc", enforce_nonce=True)
    assert (await scene.send("hello", nonce="abc", enforce_nonce=True))["id"] == first["id"]
    scene.world.clock.advance(600)
    assert (await scene.send("hello", nonce="abc", enforce_nonce=True))["id"] != first["id"]


# --- places that go


async def test_a_removed_channel_is_gone_with_its_webhooks(scene: Scene) -> None:
    hook = (await scene.rest("POST", f"/channels/{scene.channel.id}/webhooks", {"name": "Bird"})).body
    scene.world.remove_channel(scene.channel)
    assert (await scene.gateway.event("CHANNEL_DELETE"))["id"] == str(scene.channel.id)
    assert (await scene.rest("POST", scene.messages, {"content": "x"})).code == 10003
    assert (await scene.rest("POST", f"/webhooks/{hook['id']}/{hook['token']}", {"content": "x"}, token="")).code == 10015


async def test_an_expelled_bot_hears_and_may_nothing_more(scene: Scene) -> None:
    scene.world.expel(scene.app, scene.guild)
    assert (await scene.gateway.event("GUILD_DELETE"))["id"] == str(scene.guild.id)
    assert (await scene.rest("POST", scene.messages, {"content": "x"})).code == 50001
    assert (await scene.rest("GET", f"/guilds/{scene.guild.id}")).code == 50001


async def test_a_bot_is_told_of_a_server_that_invites_it(scene: Scene) -> None:
    nest = scene.world.add_guild("Nest")
    nest.add_channel("twigs")
    scene.world.install(scene.app, nest)
    told = await scene.gateway.event("GUILD_CREATE")
    assert (told["name"], [channel["name"] for channel in told["channels"]]) == ("Nest", ["twigs"])


async def test_overwrites_over_rest(scene: Scene) -> None:
    path = f"/channels/{scene.channel.id}/permissions/{scene.app.id}"
    change = {"type": 1, "allow": "0", "deny": str(int(SEND))}
    assert (await scene.rest("PUT", path, change)).code == 50013
    scene.guild.give(scene.app, scene.guild.add_role("keeper", permissions=Permissions.MANAGE_ROLES))
    assert (await scene.rest("PUT", path, change)).status == 204
    assert (await scene.rest("POST", scene.messages, {"content": "x"})).code == 50013
    assert (await scene.rest("DELETE", path)).status == 204
    await scene.send("x")


# --- direct messages


async def test_a_bot_writes_to_somebody_who_lets_it(scene: Scene) -> None:
    channel = (await scene.rest("POST", "/users/@me/channels", {"recipient_id": str(scene.bob.id)})).body
    path = f"/channels/{channel['id']}/messages"
    assert (await scene.rest("POST", path, {"content": "psst"})).status == 200
    assert [message.content for message in scene.bob.read(scene.bob.direct(scene.app))] == ["psst"]
    scene.bob.user.accepts_direct = False
    assert (await scene.rest("POST", path, {"content": "psst"})).code == 50007
    stranger = scene.world.user("stranger", guilds=[])
    channel = (await scene.rest("POST", "/users/@me/channels", {"recipient_id": str(stranger.id)})).body
    assert (await scene.rest("POST", f"/channels/{channel['id']}/messages", {"content": "psst"})).code == 50007


# --- the record


async def test_every_call_is_recorded_as_it_was(scene: Scene) -> None:
    await scene.rest("GET", f"{scene.messages}?limit=2")
    await scene.rest("GET", "/nothing/here")
    asked, missed = scene.world.exchanges[-2:]
    assert (asked.method, asked.path, asked.query, asked.status) == ("GET", f"/api/v10{scene.messages}", {"limit": "2"}, 200)
    assert (asked.body, asked.response, missed.status) == (b"", b"[]", 404)
    assert asked.headers["Authorization"] == f"Bot {scene.app.token}"


async def test_the_transcript_reads_like_the_channel(scene: Scene) -> None:
    asked = await scene.slash("hi")
    await asked.answer(5)
    await scene.rest("PATCH", f"{asked.webhook}/messages/@original", {"content": "there"}, token="")
    assert [str(line) for line in scene.world.transcript] == [
        "#general alice: /hello text:hi",
        "#general Parrot: … is thinking",
        "#general Parrot: (changed) there",
    ]


async def test_rest_too_gives_others_words_only_with_message_content(scene: Scene) -> None:
    own = await scene.send("mine")
    said = scene.alice.send(scene.channel, "secret", files=[File("x.txt", b"x")])
    named = scene.alice.send(scene.channel, f"hey <@{scene.app.id}>", reply_to=said)

    async def read() -> dict[int, str]:
        history = (await scene.rest("GET", scene.messages)).body
        assert all((message["attachments"] == []) == (message["content"] != "secret") for message in history)
        return {int(message["id"]): message["content"] for message in history}

    assert await read() == {int(own["id"]): "mine", said.id: "", named.id: named.content}
    one = (await scene.rest("GET", f"{scene.messages}/{named.id}")).body
    assert (one["content"], one["referenced_message"]["content"]) == (named.content, "")
    scene.app.message_content = True
    assert (await read())[said.id] == "secret"
