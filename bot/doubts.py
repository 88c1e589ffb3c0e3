"""Doubts: posts of which nobody knows whether they arrived, and the one question that a person is asked about each. Knows no Discord.

The question goes to the post's own channel, where people see what stands there; where Mynah may not write there any more, to the one who
called for the post, alone. It is a post of the outbox itself, so it is asked once. Nobody is asked about a question.
"""

import structlog

from bot import messages
from bot.clock import Clock
from bot.errors import NotFound
from storage.database import Database
from storage.posts import Post, PostStore

ABOUT_POSTS = ("question", "notice")

log = structlog.get_logger("mynah.doubts")


class Doubts:
    """Asks about unknown posts, and does what the answer says."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._posts = PostStore(database)

    async def ask(self) -> None:
        """Promise a question about each unknown post that has none yet. One that was sent again and is unknown again gets another."""
        for post in await self._posts.in_state("unknown"):
            key = f"post:{post.id}:question:{(post.sending_at or post.created_at).isoformat()}"
            if post.kind in ABOUT_POSTS or await self._posts.by_dedupe_key(key) is not None:
                continue
            async with self._database.transaction() as tx:
                await self._posts.insert(
                    tx,
                    dedupe_key=key,
                    kind="question",
                    guild_id=post.guild_id,
                    channel_id=post.channel_id,
                    created_by=0,
                    now=self._clock.now(),
                    message=messages.question(post).to_dict(),
                    about_id=post.id,
                )
            log.warning(
                "nobody knows whether a post arrived: asking in its channel", post=post.id, channel=post.channel_id, reason=post.error
            )

    async def get(self, post_id: int, *, guild_id: int | None) -> Post:
        """A post that was asked about; `guild_id` is where the answer comes from, None for a direct message.

        Raises:
            NotFound: it is not of that server.
        """
        post = await self._posts.get(post_id)
        if post is None or guild_id not in (None, post.guild_id):
            raise NotFound(f"There is no post {post_id} here.")
        return post

    async def list(self, guild_id: int) -> list[Post]:
        """The unknown posts of a server, oldest first."""
        return await self._posts.unknown_in(guild_id)

    async def settle(self, post: Post, *, there: bool, by: int) -> Post:
        """A person has answered. Only the first answer counts; gives the post as it is then."""
        async with self._database.transaction() as tx:
            done = await (self._posts.confirm(tx, post.id, self._clock.now()) if there else self._posts.repeat(tx, post.id))
        if done:
            log.info("a doubt was settled", post=post.id, there=there, by=by)
        return await self.get(post.id, guild_id=None)
