"""Where a bot is and is not: direct messages, a server without it, limits on how often it may ask, and what an id tells."""

import base64
from collections.abc import AsyncIterator

import aiohttp
import pytest

from bot.localdiscord import World, serve
from tests.discord.checked import check_answers
from tests.localdiscord.raw import Rest
from tests.localdiscord.scene import COMMANDS, Interaction, Scene, scene_with_bot

DISCORD_EPOCH_MS = 1_420_070_400_000


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with_bot() as made:
        yield made


async def test_a_direct_message(scene: Scene) -> None:
    opened = await scene.rest("POST", "/users/@me/channels", {"recipient_id": str(scene.alice.id)})
    again = await scene.rest("POST", "/users/@me/channels", {"recipient_id": str(scene.alice.id)})
    assert opened.body["id"] == again.body["id"]
    assert (await scene.rest("POST", f"/channels/{opened.body['id']}/messages", {"content": "psst"})).status == 200
    assert [message.content for message in scene.alice.read(scene.alice.direct(scene.app))] == ["psst"]
    assert not scene.bob.read(scene.channel)


async def test_a_direct_message_to_nobody(scene: Scene) -> None:
    answer = await scene.rest("POST", "/users/@me/channels", {"recipient_id": "1"})
    assert answer.status in (400, 404)


async def elsewhere(scene: Scene) -> Interaction:
    """Alice uses the command, which she has installed for herself, in a server without the bot."""
    commands = [{**COMMANDS[0], "integration_types": [0, 1], "contexts": [0, 1, 2]}]
    assert (await scene.rest("PUT", f"/applications/{scene.app.id}/commands", commands)).status == 200
    channel = scene.world.add_guild("Elsewhere").add_channel("lounge")
    scene.world.install_for(scene.app, scene.alice)
    return await scene.acted(scene.alice.slash("hello", {}, channel=channel))


async def test_where_only_the_user_has_it_the_bot_answers_but_does_not_see(scene: Scene) -> None:
    interaction = await elsewhere(scene)
    assert interaction.data["authorizing_integration_owners"] == {"1": str(scene.alice.id)}
    assert (await interaction.answer(4, content="here")).status == 200
    beyond = await scene.rest("POST", f"/channels/{interaction.data['channel_id']}/messages", {"content": "here too"})
    assert (beyond.status, beyond.code) == (403, 50001)


async def test_where_only_the_user_has_it_five_followups_are_the_most(scene: Scene) -> None:
    interaction = await elsewhere(scene)
    await interaction.answer(4, content="here")
    sent = [await scene.rest("POST", interaction.webhook, {"content": f"{n}"}) for n in range(6)]
    assert [answer.status for answer in sent[:5]] == [200] * 5, "a followup always waits"
    assert (sent[5].status, sent[5].code) == (400, 40094)


async def test_with_limits_on_who_asks_too_often_waits() -> None:
    world = World(limits=True)
    channel = world.add_guild("Aviary").add_channel("general")
    app = world.add_application("Parrot")
    world.install(app, next(iter(world.guilds.values())))
    async with serve(world) as server, aiohttp.ClientSession() as session:
        rest = Rest(session, server.url, app.token)
        answers = [await rest("POST", f"/channels/{channel.id}/messages", {"content": f"{n}"}) for n in range(40)]
        refused = [answer for answer in answers if answer.status == 429]
        assert {answer.status for answer in answers} == {200, 429}
        assert all(
            answer.headers["Via"] and answer.body["retry_after"] > 0 and "X-RateLimit-Bucket" in answer.headers for answer in refused
        )
        world.clock.advance(60)
        assert (await rest("POST", f"/channels/{channel.id}/messages", {"content": "later"})).status == 200
    check_answers(world)


async def test_without_limits_no_header_slows_a_client_down(scene: Scene) -> None:
    answers = [await scene.rest("POST", scene.messages, {"content": f"{n}"}) for n in range(60)]
    assert {answer.status for answer in answers} == {200}
    assert not any(name.lower().startswith("x-ratelimit") for answer in answers for name in answer.headers)


async def test_an_id_holds_its_time(scene: Scene) -> None:
    before = scene.world.clock.time()
    sent = await scene.send()
    made = ((int(sent["id"]) >> 22) + DISCORD_EPOCH_MS) / 1000
    assert before - 1 <= made <= scene.world.clock.time() + 1
    later = await scene.send()
    assert int(later["id"]) > int(sent["id"])


def test_a_token_begins_with_the_application() -> None:
    app = World().add_application("Parrot")
    first, *rest = app.token.split(".")
    assert base64.urlsafe_b64decode(first + "=" * (-len(first) % 4)).decode() == str(app.id)
    assert len(rest) == 2
