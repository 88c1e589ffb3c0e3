"""Faults that a test asks for, and rate limits: what a client meets on a bad day."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
import pytest

from bot.localdiscord import Fault, Harm, World, serve
from bot.localdiscord.objects import Channel, Guild
from tests.localdiscord.raw import Rest
from tests.localdiscord.scene import scene_with_bot


@dataclass
class Place:
    """A channel with a bot that only uses REST."""

    world: World
    guild: Guild
    channel: Channel
    token: str
    rest: Rest

    @property
    def messages(self) -> str:
        return f"/channels/{self.channel.id}/messages"

    def seen(self) -> list[str]:
        return [message.content for message in self.world.user("alice").read(self.channel)]


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    world = World()
    guild = world.add_guild("Aviary")
    channel = guild.add_channel("general")
    app = world.add_application("Bird")
    world.install(app, guild)
    async with serve(world) as server, aiohttp.ClientSession() as session:
        yield Place(world, guild, channel, app.token, Rest(session, server.url, app.token))


async def test_an_error_after_the_effect_and_its_retry_make_one_message(place: Place) -> None:
    place.world.faults.append(Fault(Harm.ERROR_AFTER, "POST", r"/messages$"))
    body = {"content": "once", "nonce": "n", "enforce_nonce": True}
    assert (await place.rest("POST", place.messages, body)).status == 500
    assert (await place.rest("POST", place.messages, body)).status == 200
    assert place.seen() == ["once"]


@pytest.mark.parametrize(
    ("harm", "status", "via"), [(Harm.ERROR_BEFORE, 500, True), (Harm.RATE_LIMITED, 429, True), (Harm.UNAVAILABLE, 503, True)]
)
async def test_faults_that_answer(harm: Harm, status: int, via: bool, place: Place) -> None:
    place.world.faults.append(Fault(harm, "POST", r"/messages$", times=1, seconds=0.5))
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": f"Bot {place.token}"}
        async with session.post(f"{place.world.base_url}/api/v10{place.messages}", json={"content": "x"}, headers=headers) as reply:
            assert (reply.status, "Via" in reply.headers) == (status, via)
            if harm is Harm.RATE_LIMITED:
                assert (await reply.json())["retry_after"] == 0.5
    assert place.seen() == []
    assert (await place.rest("POST", place.messages, {"content": "x"})).status == 200


async def test_the_limit_on_everything_says_so(place: Place) -> None:
    place.world.faults.append(Fault(Harm.RATE_LIMITED_EVERYWHERE, seconds=0.5))
    answer = await place.rest("GET", "/users/@me")
    assert (answer.status, answer.body["global"], answer.body["retry_after"]) == (429, True, 0.5)
    assert answer.headers["X-RateLimit-Global"] == "true"


async def test_what_a_test_asked_for_is_told_apart_from_what_went_wrong(place: Place) -> None:
    place.world.faults += [Fault(Harm.ERROR_AFTER), Fault(Harm.DELAY, seconds=0.0)]
    for _ in range(3):
        await place.rest("GET", "/users/@me")
    assert [exchange.harmed for exchange in place.world.exchanges] == [True, False, False]


async def test_a_ban_has_no_via_and_no_json(place: Place) -> None:
    place.world.faults.append(Fault(Harm.BANNED))
    async with aiohttp.ClientSession() as session, session.get(f"{place.world.base_url}/api/v10/users/@me") as reply:
        assert (reply.status, "Via" in reply.headers, reply.content_type) == (429, False, "text/plain")


@pytest.mark.parametrize(("harm", "kept"), [(Harm.DROP_BEFORE, 0), (Harm.DROP_AFTER, 1)])
async def test_a_dropped_request(harm: Harm, kept: int, place: Place) -> None:
    place.world.faults.append(Fault(harm, "POST", r"/messages$"))
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await place.rest("POST", place.messages, {"content": "x"})
    assert len(place.seen()) == kept


async def test_a_delayed_answer_is_the_same_answer(place: Place) -> None:
    place.world.faults.append(Fault(Harm.DELAY, seconds=0.01))
    assert (await place.rest("POST", place.messages, {"content": "x"})).status == 200
    assert place.seen() == ["x"]


async def test_a_zombie_says_nothing() -> None:
    async with scene_with_bot() as scene:
        scene.server.gateway.silence()
        scene.alice.send(scene.channel, "hello")
        await scene.gateway.send(1, None)
        await scene.server.gateway.drop()
        assert await scene.gateway.until_closed() == 4000
        assert "MESSAGE_CREATE" not in [payload["t"] for payload in scene.gateway.seen]


async def test_no_limits_are_told_unless_asked_for(place: Place) -> None:
    answer = await place.rest("GET", "/users/@me")
    assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]


async def test_true_buckets_when_asked_for(place: Place) -> None:
    place.world.limits = True
    answers = [await place.rest("POST", place.messages, {"content": f"{number}"}) for number in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0"]
    assert answers[5].body["global"] is False
    assert 0 < answers[5].body["retry_after"] <= 5
    other = f"/channels/{place.guild.add_channel('other').id}/messages"
    assert (await place.rest("POST", other, {"content": "another channel, another bucket"})).status == 200
    place.world.clock.advance(answers[5].body["retry_after"])
    assert (await place.rest("POST", place.messages, {"content": "later"})).status == 200


async def test_answers_to_interactions_have_no_limit() -> None:
    async with scene_with_bot() as scene:
        scene.world.limits = True
        for _ in range(60):
            assert (await (await scene.slash()).answer(5)).status == 200
