"""What Discord's documents forbid and its description lets through, asked over real HTTP: each row a request and Discord's answer."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.discord.openapi import check_exchanges
from tests.localdiscord.raw import Answer
from tests.localdiscord.scene import MANAGE_MESSAGES, MENTION_EVERYONE, SEND, Scene, scene_with_bot

Json = dict[str, Any]


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with_bot() as made:
        yield made


@dataclass(frozen=True)
class Row:
    """A request and what Discord says to it. `place`: the field that the error names, as far as it is documented."""

    method: str
    path: str
    body: Any
    status: int
    code: int = 0
    place: str = ""


def posted(body: object, status: int = 400, code: int = 50035, place: str = "") -> Row:
    return Row("POST", "/channels/{channel}/messages", body, status, code, place)


def synced(*commands: Json, code: int = 50035, place: str = "") -> Row:
    return Row("PUT", "/applications/{app}/commands", list(commands), 400 if code else 200, code, place)


def command(**changes: object) -> Json:
    return {"name": "say", "description": "Let a character speak", "type": 1, **changes}


def option(name: str = "text", **changes: object) -> Json:
    return {"type": 3, "name": name, "description": "Words", **changes}


def button(custom_id: str = "a", **changes: object) -> Json:
    return {"type": 2, "style": 1, "label": "Press", "custom_id": custom_id, **changes}


def select(count: int, **changes: object) -> Json:
    return {"type": 3, "custom_id": "pick", "options": [{"label": f"{n}", "value": f"{n}"} for n in range(count)], **changes}


def rows(*components: Json) -> list[Json]:
    """One action row."""
    return [{"type": 1, "components": list(components)}]


def with_components(components: list[Json]) -> Json:
    return {"content": "hello", "components": components}


def field(name: int = 1, value: int = 1) -> Json:
    return {"name": "n" * name, "value": "v" * value}


LINK = {"type": 2, "style": 5, "label": "Open", "url": "https://example.org"}
FULL = [{"description": "d" * 4096}, {"title": "t" * 256, "footer": {"text": "f" * 1648}}]

REFUSED = {
    # messages
    "2001 characters": posted({"content": "a" * 2001}, place="content"),
    "empty message": posted({}, code=50006),
    "empty content": posted({"content": ""}, code=50006),
    "only spaces": posted({"content": " \n "}, code=50006),
    "only an empty list": posted({"embeds": [], "components": []}, code=50006),
    "content that is no text": posted({"content": {"a": 1}}, place="content"),
    "no object": posted([1, 2]),
    "11 embeds": posted({"embeds": [{"title": "x"}] * 11}, place="embeds"),
    "embed title of 257": posted({"embeds": [{"title": "t" * 257}]}, place="embeds/0/title"),
    "embed description of 4097": posted({"embeds": [{"description": "d" * 4097}]}, place="embeds/0/description"),
    "embed footer of 2049": posted({"embeds": [{"footer": {"text": "f" * 2049}}]}, place="embeds/0/footer/text"),
    "embed author of 257": posted({"embeds": [{"author": {"name": "a" * 257}}]}, place="embeds/0/author/name"),
    "26 embed fields": posted({"embeds": [{"fields": [field()] * 26}]}, place="embeds/0/fields"),
    "embed field name of 257": posted({"embeds": [{"fields": [field(name=257)]}]}, place="embeds/0/fields/0/name"),
    "embed field value of 1025": posted({"embeds": [{"fields": [field(value=1025)]}]}, place="embeds/0/fields/0/value"),
    "6001 characters over all embeds": posted({"embeds": [*FULL, {"title": "t"}]}),
    "6 rows": posted(with_components([row for n in range(6) for row in rows(button(str(n)))]), place="components"),
    "6 buttons in a row": posted(with_components(rows(*(button(str(n)) for n in range(6)))), place="components/0/components"),
    "empty row": posted(with_components(rows()), place="components/0/components"),
    "button outside a row": posted(with_components([button()])),
    "label of 81": posted(with_components(rows(button(label="l" * 81))), place="components/0/components/0/label"),
    "button without label": posted(with_components(rows({"type": 2, "style": 1, "custom_id": "a"}))),
    "custom_id of 101": posted(with_components(rows(button("c" * 101))), place="components/0/components/0/custom_id"),
    "button without custom_id": posted(with_components(rows({"type": 2, "style": 1, "label": "a"}))),
    "the same custom_id twice": posted(with_components(rows(button("a"), button("a")))),
    "the same custom_id in two rows": posted(with_components([*rows(button("a")), *rows(button("a"))])),
    "link with a custom_id": posted(with_components(rows({**LINK, "custom_id": "a"}))),
    "link without an address": posted(with_components(rows({"type": 2, "style": 5, "label": "Open"}))),
    "26 select options": posted(with_components(rows(select(26))), place="components/0/components/0/options"),
    "option label of 101": posted(with_components(rows(select(0, options=[{"label": "l" * 101, "value": "v"}])))),
    "option value twice": posted(with_components(rows(select(0, options=[{"label": "l", "value": "v"}] * 2)))),
    "least above most": posted(with_components(rows(select(5, min_values=3, max_values=2)))),
    "placeholder of 151": posted(with_components(rows(select(1, placeholder="p" * 151)))),
    "two selects in a row": posted(with_components(rows(select(1), select(1, custom_id="other")))),
    "select beside a button": posted(with_components(rows(select(1), button()))),
    "text input in a message": posted(with_components(rows({"type": 4, "custom_id": "a", "label": "l", "style": 1}))),
    "second version with content": posted({"flags": 1 << 15, "content": "x", "components": [{"type": 10, "content": "y"}]}),
    "second version with embeds": posted({"flags": 1 << 15, "embeds": [{"title": "x"}], "components": [{"type": 10, "content": "y"}]}),
    "second version's parts in the first": posted({"content": "x", "components": [{"type": 10, "content": "y"}]}),
    "41 parts": posted({"flags": 1 << 15, "components": [{"type": 17, "components": [{"type": 10, "content": "y"}] * 20}] * 2}),
    "parse and users": posted({"content": "hi", "allowed_mentions": {"parse": ["users"], "users": ["1"]}}),
    "parse and roles": posted({"content": "hi", "allowed_mentions": {"parse": ["roles"], "roles": ["1"]}}),
    "unknown parse": posted({"content": "hi", "allowed_mentions": {"parse": ["all"]}}),
    "101 users": posted({"content": "hi", "allowed_mentions": {"users": [str(n) for n in range(1, 102)]}}),
    "nonce of 26": posted({"content": "hi", "nonce": "n" * 26}, place="nonce"),
    "no JSON": Row("POST", "/channels/{channel}/messages", b'{"content": "hi"', 400, 50109),
    "edit to 2001": Row("PATCH", "/channels/{channel}/messages/{message}", {"content": "a" * 2001}, 400, 50035, "content"),
    "edit to nothing": Row("PATCH", "/channels/{channel}/messages/{message}", {"content": ""}, 400, 50006),
    # who may do what, where
    "no token": Row("GET", "/users/@me", None, 401),
    "unknown path": Row("GET", "/nowhere", None, 404),
    "unknown method": Row("PATCH", "/channels/{channel}/messages", {}, 405),
    "unknown channel": Row("POST", "/channels/1/messages", {"content": "hi"}, 404, 10003),
    "channel that the bot does not see": Row("POST", "/channels/{hidden}/messages", {"content": "hi"}, 403, 50001),
    "history that the bot does not see": Row("GET", "/channels/{hidden}/messages", None, 403, 50001),
    "channel in which the bot may not write": Row("POST", "/channels/{muted}/messages", {"content": "hi"}, 403, 50013),
    "edit of an unknown message": Row("PATCH", "/channels/{channel}/messages/1", {"content": "hi"}, 404, 10008),
    "unknown message": Row("GET", "/channels/{channel}/messages/1", None, 404, 10008),
    "delete of an unknown message": Row("DELETE", "/channels/{channel}/messages/1", None, 404, 10008),
    "edit of another's message": Row("PATCH", "/channels/{channel}/messages/{foreign}", {"content": "hi"}, 403, 50005),
    "delete of another's message": Row("DELETE", "/channels/{channel}/messages/{foreign}", None, 403, 50013),
    "reply to an unknown message": posted({"content": "hi", "message_reference": {"message_id": "1"}}),
    # commands
    "upper-case name": synced(command(name="Say"), place="0/name"),
    "name with a space": synced(command(name="say it"), place="0/name"),
    "name of 33": synced(command(name="a" * 33), place="0/name"),
    "name with a sign": synced(command(name="say!"), place="0/name"),
    "no name": synced({"description": "x"}, place="0/name"),
    "no description": synced({"name": "say", "type": 1}, place="0/description"),
    "description of 101": synced(command(description="d" * 101), place="0/description"),
    "26 options": synced(command(options=[option(f"o{n}") for n in range(26)]), place="0/options"),
    "required after optional": synced(command(options=[option("a"), option("b", required=True)]), place="0/options/1"),
    "upper-case option": synced(command(options=[option("Text")]), place="0/options/0/name"),
    "option twice": synced(command(options=[option("a"), option("a")])),
    "option of an unknown kind": synced(command(options=[option(type=12)]), place="0/options/0/type"),
    "26 choices of an option": synced(command(options=[option(choices=[{"name": f"{n}", "value": f"{n}"} for n in range(26)])])),
    "choice name of 101": synced(command(options=[option(choices=[{"name": "n" * 101, "value": "v"}])])),
    "choice of another kind": synced(command(options=[option(type=4, choices=[{"name": "n", "value": "v"}])])),
    "choices and autocomplete": synced(command(options=[option(autocomplete=True, choices=[{"name": "n", "value": "v"}])])),
    "autocomplete of a user": synced(command(options=[option(type=6, autocomplete=True)])),
    "subcommand beside an option": synced(command(options=[option("a", type=1), option("b")])),
    "group in a group": synced(command(options=[option("a", type=2, options=[option("b", type=2)])])),
    "8001 characters": synced(
        command(options=[option(f"o{n}", choices=[{"name": f"{c:0100}", "value": "v" * 100} for c in range(20)]) for n in range(2)])
    ),
    "the same name twice": synced(command(), command()),
    "101 commands": synced(*(command(name=f"c{n}") for n in range(101)), code=30032),
    "16 user menus": synced(*({"name": f"Menu {n}", "type": 2} for n in range(16)), code=30032),
    "menu with a description": synced({"name": "Menu", "type": 2, "description": "x"}),
    "menu with options": synced({"name": "Menu", "type": 3, "options": [option()]}),
    "unknown language": synced(command(name_localizations={"xx": "sage"})),
    "upper-case in another language": synced(command(name_localizations={"de": "Sage"})),
    "one command, upper-case": Row("POST", "/applications/{app}/commands", command(name="Say"), 400, 50035, "name"),
    # webhooks
    "webhook Discord": Row("POST", "/channels/{channel}/webhooks", {"name": "My Discord voice"}, 400, 50035, "name"),
    "webhook clyde": Row("POST", "/channels/{channel}/webhooks", {"name": "CLYDE"}, 400, 50035, "name"),
    "webhook name of 81": Row("POST", "/channels/{channel}/webhooks", {"name": "n" * 81}, 400, 50035, "name"),
    "webhook without a name": Row("POST", "/channels/{channel}/webhooks", {}, 400, 50035, "name"),
    "webhook where the bot may not": Row("POST", "/channels/{muted}/webhooks", {"name": "n"}, 403, 50013),
    "username of 81": Row("POST", "{webhook}", {"content": "hi", "username": "n" * 81}, 400, 50035, "username"),
    "username Discord": Row("POST", "{webhook}", {"content": "hi", "username": "discord helper"}, 400, 50035, "username"),
    "username clyde": Row("POST", "{webhook}", {"content": "hi", "username": "Clyde"}, 400, 50035, "username"),
    "webhook's 2001 characters": Row("POST", "{webhook}", {"content": "a" * 2001}, 400, 50035, "content"),
    "webhook's empty message": Row("POST", "{webhook}", {}, 400, 50006),
    "unknown webhook": Row("POST", "/webhooks/1/abc", {"content": "hi"}, 404, 10015),
    "webhook with a wrong token": Row("POST", "{webhook}x", {"content": "hi"}, 401, 50027),
    "webhook's unknown message": Row("PATCH", "{webhook}/messages/1", {"content": "hi"}, 404, 10008),
    "webhook edits the bot's message": Row("PATCH", "{webhook}/messages/{message}", {"content": "hi"}, 404, 10008),
    "unknown interaction": Row("POST", "/interactions/1/abc/callback", {"type": 5}, 404, 10062),
}

ALLOWED = {
    "2000 characters": posted({"content": "a" * 2000}, 200, 0),
    "2000 characters of more than 16 bits": posted({"content": "😀" * 2000}, 200, 0),
    "6000 characters over all embeds": posted({"embeds": FULL}, 200, 0),
    "10 embeds": posted({"embeds": [{"title": "x"}] * 10}, 200, 0),
    "25 embed fields": posted({"embeds": [{"fields": [field()] * 25}]}, 200, 0),
    "5 rows of 5": posted(with_components([r for n in range(5) for r in rows(*(button(f"{n}{m}") for m in range(5)))]), 200, 0),
    "label of 80": posted(with_components(rows(button(label="l" * 80))), 200, 0),
    "custom_id of 100": posted(with_components(rows(button("c" * 100))), 200, 0),
    "only components": posted({"components": rows(button())}, 200, 0),
    "links side by side": posted(with_components(rows(LINK, LINK)), 200, 0),
    "25 select options": posted(with_components(rows(select(25, min_values=0, max_values=25))), 200, 0),
    "second version": posted({"flags": 1 << 15, "components": [{"type": 17, "components": [{"type": 10, "content": "y"}] * 39}]}, 200, 0),
    "parse nothing, name some": posted({"content": "hi", "allowed_mentions": {"parse": ["roles"], "users": ["1"]}}, 200, 0),
    "unknown keys": posted({"content": "hi", "colour": "red"}, 200, 0),
    "nulls": posted({"content": "hi", "embeds": None, "components": None, "nonce": None, "flags": None}, 200, 0),
    "nonce of 25": posted({"content": "hi", "nonce": "n" * 25}, 200, 0),
    "reply to a message that may be gone": posted(
        {"content": "hi", "message_reference": {"message_id": "1", "fail_if_not_exists": False}}, 200, 0
    ),
    "100 commands and 15 menus of each kind": synced(
        *(command(name=f"c{n}") for n in range(100)),
        *({"name": f"Menu {n}", "type": kind} for n in range(15) for kind in (2, 3)),
        code=0,
    ),
    "names of other scripts": synced(command(name="言う"), command(name="พูด"), command(name="बोलो"), command(name="l'été-1"), code=0),
    "required before optional": synced(command(options=[option("a", required=True), option("b")]), code=0),
    "subcommands in a group": synced(command(options=[option("a", type=2, options=[option("b", type=1, options=[option("c")])])]), code=0),
    "webhook name of 80": Row("POST", "/channels/{channel}/webhooks", {"name": "n" * 80}, 200),
    "username of 80": Row("POST", "{webhook}?wait=true", {"content": "hi", "username": "n" * 80}, 200),
    "webhook that does not wait": Row("POST", "{webhook}", {"content": "hi"}, 204),
    "edit away from content": Row("PATCH", "/channels/{channel}/messages/{message}", {"content": "", "embeds": [{"title": "x"}]}, 200),
    "older address": Row("GET", "/../v9/users/@me", None, 200),
}


async def ask(scene: Scene, row: Row) -> Answer:
    """Ask for a row, with the ids of this scene in its path."""
    webhook = (await scene.rest("POST", f"/channels/{scene.channel.id}/webhooks", {"name": "Voices"})).body
    ids = {
        "app": scene.app.id,
        "channel": scene.channel.id,
        "hidden": scene.hidden.id,
        "muted": scene.muted.id,
        "message": (await scene.send())["id"],
        "foreign": (scene.alice.send(scene.channel, "mine")).id,
        "webhook": f"/webhooks/{webhook['id']}/{webhook['token']}",
    }
    raw = row.body if isinstance(row.body, bytes) else None
    return await scene.rest(
        row.method, row.path.format(**ids), None if raw else row.body, raw=raw, token="" if row.status == 401 and not row.code else None
    )


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
async def test_refused(row: Row, scene: Scene) -> None:
    scene.muted.deny(scene.app, SEND | 1 << 29)
    answer = await ask(scene, row)
    assert (answer.status, answer.code) == (row.status, row.code), answer.body
    assert not row.place or row.place in answer.places


@pytest.mark.parametrize("row", ALLOWED.values(), ids=ALLOWED)
async def test_allowed(row: Row, scene: Scene) -> None:
    answer = await ask(scene, row)
    assert answer.status == row.status, answer.body
    assert check_exchanges(scene.world.exchanges) == [], "the description allows it too"


@pytest.mark.parametrize("path", ["/users/@me", "/nowhere", "/channels/1"])
async def test_every_reply_is_plain_json_through_a_proxy(path: str, scene: Scene) -> None:
    """discord.py reads "application/json; charset=utf-8" as text, and takes a reply without Via for a ban by Cloudflare."""
    answer = await scene.rest("GET", path)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["Via"]


async def test_a_wrong_token_is_refused(scene: Scene) -> None:
    for token in ("Bot wrong", "Bearer x", f"Bot {scene.app.token}x"):
        answer = await scene.rest("GET", "/users/@me", token=token)
        assert (answer.status, answer.code) == (401, 0)


async def test_files_are_counted_and_weighed(scene: Scene) -> None:
    eleven = await scene.rest("POST", scene.messages, {}, files={f"files[{n}]": b"x" for n in range(11)})
    assert eleven.status == 400
    ten = await scene.rest("POST", scene.messages, {}, files={f"files[{n}]": b"x" for n in range(10)})
    assert ten.status == 200
    assert len(ten.body["attachments"]) == 10
    limit = 10 * 1024 * 1024
    assert (await scene.rest("POST", scene.messages, {}, files={"files[0]": bytes(limit)})).status == 200
    heavy = await scene.rest("POST", scene.messages, {}, files={"files[0]": bytes(limit + 1)})
    assert (heavy.status, heavy.code) == (413, 40005)


async def test_the_same_nonce_sends_once(scene: Scene) -> None:
    body = {"content": "once", "nonce": "abc", "enforce_nonce": True}
    first, second = await scene.rest("POST", scene.messages, body), await scene.rest("POST", scene.messages, {**body, "content": "twice"})
    assert first.body["id"] == second.body["id"]
    assert second.body["content"] == "once"
    loose = {"content": "again", "nonce": "def"}
    assert (await scene.rest("POST", scene.messages, loose)).body["id"] != (await scene.rest("POST", scene.messages, loose)).body["id"]
    scene.world.clock.advance(3600)
    assert (await scene.rest("POST", scene.messages, body)).body["id"] != first.body["id"]


async def test_200_creates_a_day(scene: Scene) -> None:
    path = f"/applications/{scene.app.id}/guilds/{scene.guild.id}/commands"
    for batch in range(2):
        assert (await scene.rest("PUT", path, [command(name=f"b{batch}-{n}") for n in range(100)])).status == 200
    assert (await scene.rest("PUT", path, [command(name=f"b1-{n}") for n in range(100)])).status == 200, "updating is not creating"
    assert (await scene.rest("PUT", path, [])).status == 200
    assert (await scene.rest("PUT", path, [command()])).code == 30034
    scene.world.clock.advance(25 * 3600)
    assert (await scene.rest("PUT", path, [command()])).status == 200


async def test_16_webhooks_are_too_many(scene: Scene) -> None:
    path = f"/channels/{scene.channel.id}/webhooks"
    assert {(await scene.rest("POST", path, {"name": "n"})).status for _ in range(15)} == {200}
    assert (await scene.rest("POST", path, {"name": "n"})).code == 30007


async def test_a_deleted_webhook_is_gone(scene: Scene) -> None:
    made = (await scene.rest("POST", f"/channels/{scene.channel.id}/webhooks", {"name": "n"})).body
    assert (await scene.rest("DELETE", f"/webhooks/{made['id']}")).status == 204
    answer = await scene.rest("POST", f"/webhooks/{made['id']}/{made['token']}", {"content": "hi"})
    assert (answer.status, answer.code) == (404, 10015)


async def test_managing_messages_allows_deleting_anothers(scene: Scene) -> None:
    theirs = scene.alice.send(scene.channel, "mine")
    scene.channel.allow(scene.app, MANAGE_MESSAGES)
    assert (await scene.rest("DELETE", f"{scene.messages}/{theirs.id}")).status == 204


PINGS: dict[str, tuple[Json | None, set[str]]] = {
    "unsaid: everybody": (None, {"alice", "bob"}),
    "nothing": ({"parse": []}, set()),
    "empty object": ({}, set()),
    "users": ({"parse": ["users"]}, {"bob"}),
    "roles": ({"parse": ["roles"]}, {"alice"}),
    "everyone": ({"parse": ["everyone"]}, {"alice", "bob"}),
    "this user": ({"users": ["{bob}"]}, {"bob"}),
    "another user": ({"users": ["{alice}"]}, set()),
    "this role": ({"roles": ["{role}"]}, {"alice"}),
}


@pytest.mark.parametrize(("allowed", "pinged"), PINGS.values(), ids=PINGS)
async def test_who_is_pinged(allowed: Json | None, pinged: set[str], scene: Scene) -> None:
    role = scene.guild.add_role("Birds", mentionable=True)
    scene.guild.give(scene.alice, role)
    ids = {"alice": scene.alice.id, "bob": scene.bob.id, "role": role.id}
    mentions = allowed and {key: [item.format(**ids) for item in items] for key, items in allowed.items()}
    more = {} if allowed is None else {"allowed_mentions": mentions}
    sent = await scene.send(f"@everyone <@{scene.bob.id}> <@&{role.id}>", **more)
    (seen,) = [message for message in scene.alice.read(scene.channel) if message.id == int(sent["id"])]
    assert {"alice", "bob"} & set(seen.pinged) == pinged
    assert sent["mention_everyone"] == (allowed is None or "everyone" in allowed.get("parse", []))


async def test_an_interaction_pings_users_only(scene: Scene) -> None:
    role = scene.guild.add_role("Birds", mentionable=True)
    scene.guild.give(scene.alice, role)
    interaction = await scene.slash()
    answer = await interaction.answer(4, content=f"@everyone <@{scene.bob.id}> <@&{role.id}>")
    (seen,) = [m for m in scene.bob.read(scene.channel) if m.id == int(answer.body["resource"]["message"]["id"])]
    assert set(seen.pinged) == {"bob"}


async def test_without_the_permission_everyone_is_not_pinged(scene: Scene) -> None:
    scene.channel.deny(scene.app, MENTION_EVERYONE)
    sent = await scene.send("@everyone")
    assert sent["mention_everyone"] is False
    assert not scene.alice.read(scene.channel)[-1].pinged, "without the permission it is plain text"
