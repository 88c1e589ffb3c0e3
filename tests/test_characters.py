"""What a character is asked to say, seen by the generator."""

from pathlib import Path

from bot.characters import NOT_AGAIN, Characters
from bot.executor.saying import SayReply, SayRequest, Spoken
from storage.characters import CharacterStore
from tests.desk import desk
from tests.forgotten_home import ALICE, CHANNEL, CLOCK, GUILD, learn, say


class Listener:
    """A generator that keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[SayRequest] = []

    async def say(self, request: SayRequest) -> SayReply:
        self.asked.append(request)
        return SayReply((Spoken("Rain again", 1, (), None, 0.0),))


async def test_the_newest_thousand_posts_are_not_to_be_said_again(tmp_path: Path) -> None:
    listener = Listener()
    async with desk(tmp_path) as one:
        heron = await learn(one, "heron")
        first = await say(one, heron, "heron", 0)
        copied = "kind, guild_id, channel_id, created_by, created_at, state, character_id, message, message_id, sending_at"
        async with one.database.transaction() as tx:
            for number in range(NOT_AGAIN):
                await tx.execute(
                    f"INSERT INTO posts (dedupe_key, nonce, text, {copied}) SELECT ?1, ?1, ?2, {copied} FROM posts WHERE id = ?3",  # noqa: S608  # names
                    (f"copy:{number}", f"text {number}", first),
                )
        characters = Characters(database=one.database, generator=listener, home=tmp_path, clock=CLOCK)  # type: ignore[arg-type]  # it has what is called
        character = await CharacterStore(one.database).find(GUILD, "heron")
        assert character is not None
        request = {"guild_id": GUILD, "channel_id": CHANNEL, "user_id": ALICE, "handle": "heron", "prompt": "", "count": 1}
        await characters.say(dedupe_key="one", seed=None, **request)  # type: ignore[arg-type]
        await characters.say(dedupe_key="two", seed=5, **request)  # type: ignore[arg-type]
    assert listener.asked[0].recent == tuple(f"text {number}" for number in reversed(range(NOT_AGAIN)))
    assert listener.asked[1].recent == (), "with a seed the same text comes again"
