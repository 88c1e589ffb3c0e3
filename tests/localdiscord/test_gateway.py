"""The gateway as a client without a library meets it: hello, heartbeat, resume, compression, intents, close codes."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.discord.events import check_dispatch
from tests.localdiscord.raw import (
    ACK,
    DISPATCH,
    GUILD_MESSAGES,
    GUILDS,
    HEARTBEAT,
    HELLO,
    IDENTIFY,
    INVALID_SESSION,
    MESSAGE_CONTENT,
    RESUME,
    Gateway,
    connected,
)
from tests.localdiscord.scene import Scene, scene_with_bot

PROPERTIES = {"os": "linux", "browser": "raw", "device": "raw"}


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    async with scene_with_bot() as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as made:
        yield made


@pytest.fixture
async def address(scene: Scene) -> str:
    url = (await scene.rest("GET", "/gateway")).body["url"]
    assert isinstance(url, str)
    assert url.startswith("ws://127.0.0.1:")
    return url


async def test_hello_comes_first(session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        hello = await gateway.receive()
        assert (hello["op"], hello["s"], hello["t"]) == (HELLO, None, None)
        assert hello["d"]["heartbeat_interval"] > 0


@pytest.mark.parametrize(
    "query", ["v=10&encoding=json", "v=10&encoding=json&compress=zlib-stream", "v=10&encoding=json&compress=zstd-stream"]
)
async def test_ready_and_the_servers(query: str, scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address, query=query) as gateway:
        ready = await gateway.identify(scene.app.token, GUILDS | GUILD_MESSAGES)
        assert (ready["v"], ready["user"]["id"], ready["application"]["id"]) == (10, str(scene.app.id), str(scene.app.id))
        assert ready["guilds"] == [{"id": str(scene.guild.id), "unavailable": True}]
        assert ready["resume_gateway_url"].startswith("ws://127.0.0.1:")
        guild = await gateway.event("GUILD_CREATE")
        assert {channel["name"] for channel in guild["channels"]} >= {"general"}
        assert check_dispatch("READY", ready) == []
        assert check_dispatch("GUILD_CREATE", guild) == []
        for number in range(3):
            scene.alice.send(scene.channel, f"hello {number} " + "wörter " * 40)
            assert (await gateway.event("MESSAGE_CREATE"))["author"]["username"] == "alice"
        assert [payload["s"] for payload in gateway.seen if payload["op"] == DISPATCH] == list(range(1, (gateway.seq or 0) + 1))


async def test_heartbeats_are_answered_before_and_after_identify(scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await gateway.receive()
        await gateway.send(HEARTBEAT, None)
        assert (await gateway.receive())["op"] == ACK
        await gateway.identify(scene.app.token)
        await gateway.event("GUILD_CREATE")
        await gateway.send(HEARTBEAT, gateway.seq)
        assert (await gateway.receive())["op"] == ACK


async def test_binary_frames_are_read_too(session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await gateway.receive()
        await gateway.socket.send_bytes(b'{"op": 1, "d": null}')
        assert (await gateway.receive())["op"] == ACK


@pytest.mark.parametrize("code", [4000, 4009, 1000, 1001])
@pytest.mark.parametrize("compress", ["", "&compress=zlib-stream", "&compress=zstd-stream"])
async def test_resume_brings_what_was_missed(code: int, compress: str, scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    """Discord's documents: 1000 and 1001 sent by the client end the session; every other end can be resumed."""
    query = f"v=10&encoding=json{compress}"
    async with connected(session, address, query=query) as first:
        await first.identify(scene.app.token, GUILDS | GUILD_MESSAGES)
        await first.event("GUILD_CREATE")
        await first.socket.close(code=code)
    scene.alice.send(scene.channel, "one")
    scene.alice.send(scene.channel, "two")
    async with connected(session, first.resume_url, query=query) as second:
        await second.receive()
        await second.send(RESUME, {"token": scene.app.token, "session_id": first.session_id, "seq": first.seq})
        if code in (1000, 1001):
            refused = await second.receive()
            assert (refused["op"], refused["d"]) == (INVALID_SESSION, False)
            return
        await second.event("RESUMED")
        missed = [payload for payload in second.seen if payload["t"] == "MESSAGE_CREATE"]
        assert len(missed) == 2
        assert [payload["s"] for payload in second.seen if payload["op"] == DISPATCH] == [(first.seq or 0) + n for n in (1, 2, 3)]
        scene.alice.send(scene.channel, "three")
        await second.event("MESSAGE_CREATE")


async def test_an_unknown_session_cannot_be_resumed(scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await gateway.receive()
        await gateway.send(RESUME, {"token": scene.app.token, "session_id": "nothing", "seq": 1})
        refused = await gateway.receive()
        assert (refused["op"], refused["d"]) == (INVALID_SESSION, False)
        await gateway.identify(scene.app.token)


async def identify(gateway: Gateway, token: str, **more: object) -> None:
    await gateway.send(IDENTIFY, {"token": token, "intents": GUILDS, "properties": PROPERTIES, **more})


async def test_a_wrong_token_closes_with_4004(session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await identify(gateway, "wrong")
        assert await gateway.until_closed() == 4004


async def test_a_privileged_intent_that_is_off_closes_with_4014(scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await identify(gateway, scene.app.token, intents=GUILDS | MESSAGE_CONTENT)
        assert await gateway.until_closed() == 4014


async def test_an_intent_that_does_not_exist_closes_with_4013(scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await identify(gateway, scene.app.token, intents=1 << 40)
        assert await gateway.until_closed() == 4013


async def test_an_identify_is_refused_when_a_test_wants_that(scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    scene.server.gateway.refusals.append(4011)
    async with connected(session, address) as gateway:
        await identify(gateway, scene.app.token)
        assert await gateway.until_closed() == 4011
    async with connected(session, address) as gateway:
        await gateway.identify(scene.app.token)


async def test_heartbeats_are_noted(scene: Scene) -> None:
    for _ in range(2):
        await scene.gateway.send(HEARTBEAT, None)
        while (await scene.gateway.receive())["op"] != ACK:
            pass
    first, second = scene.server.gateway.heartbeats
    assert second.at - first.at == pytest.approx(second.waited_s)


async def test_identifying_twice_closes_with_4005(scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await gateway.identify(scene.app.token)
        await identify(gateway, scene.app.token)
        assert await gateway.until_closed() == 4005


WRONG = {
    "unknown op": ('{"op": 99, "d": null}', 4001),
    "no JSON": ("hello", 4002),
    "no object": ("[]", 4002),
    "more than 4096 bytes": ('{"op": 1, "d": null, "x": "' + "x" * 4096 + '"}', 4002),
    "presence before identify": ('{"op": 3, "d": {"since": null, "activities": [], "status": "online", "afk": false}}', 4003),
}


@pytest.mark.parametrize(("text", "code"), WRONG.values(), ids=WRONG)
async def test_what_cannot_be_read_closes(text: str, code: int, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await gateway.receive()
        await gateway.socket.send_str(text)
        assert await gateway.until_closed() == code


async def test_an_old_version_closes_with_4012(session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address, query="v=3&encoding=json") as gateway:
        assert await gateway.until_closed() == 4012


async def test_121_messages_in_a_minute_close_with_4008(session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        for _ in range(121):
            await gateway.send(HEARTBEAT, None)
        assert await gateway.until_closed() == 4008


async def test_without_its_intent_no_message_is_heard(scene: Scene, session: aiohttp.ClientSession, address: str) -> None:
    async with connected(session, address) as gateway:
        await gateway.identify(scene.app.token, GUILDS)
        await gateway.event("GUILD_CREATE")
        scene.alice.send(scene.channel, "hello")
        await gateway.send(HEARTBEAT, gateway.seq)
        assert (await gateway.receive())["op"] == ACK


async def test_without_message_content_the_words_are_blank(scene: Scene) -> None:
    scene.alice.send(scene.channel, "hello")
    assert (await scene.gateway.event("MESSAGE_CREATE"))["content"] == ""
    scene.alice.send(scene.channel, f"hello <@{scene.app.id}>")
    assert (await scene.gateway.event("MESSAGE_CREATE"))["content"] == f"hello <@{scene.app.id}>", "but for what is said to the bot"
    await scene.send("mine")
    assert (await scene.gateway.event("MESSAGE_CREATE"))["content"] == "mine", "and by it"


async def test_a_channel_that_the_bot_does_not_see_is_not_heard(scene: Scene) -> None:
    scene.alice.send(scene.hidden, "secret")
    scene.alice.send(scene.channel, "open")
    assert (await scene.gateway.event("MESSAGE_CREATE"))["channel_id"] == str(scene.channel.id)
