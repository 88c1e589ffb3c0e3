"""Notices: what one person is told, alone, about a post that Discord refused for good. Knows no Discord."""

from collections.abc import Callable
from datetime import datetime, timedelta

from bot import messages, questions
from bot.messages import Message
from storage.database import Database, Transaction
from storage.guilds import GuildStore
from storage.jobs import JobStore
from storage.posts import Post, PostStore

ASKER_WAITS = timedelta(seconds=60)
"""A post of /say that fails sooner is told in the reply to the command."""


class Notices:
    """Promises them in the transaction in which the post fails, so that each is told once."""

    def __init__(self, *, database: Database) -> None:
        self._posts, self._jobs, self._guilds = PostStore(database), JobStore(database), GuildStore(database)
        self.owner_of: Callable[[int], int | None] = lambda _: None
        """Who owns a server; set by whoever is connected to Discord."""

    async def promise(self, tx: Transaction, post: Post, error: str, now: datetime) -> None:
        """Tell the one whom it concerns: who asked for the training, made the schedule, or wanted the character to speak.

        What the managers were to be told goes to the server's owner.
        """
        match post.kind:
            case "result":
                key, message = f"post:{post.id}:notice", messages.undelivered_result(post, error)
            case "schedule" if post.schedule_id is not None:
                # Once, until it works again: each slot would fail in the same way.
                worked = await self._posts.newest_of(post.schedule_id, sent=True)
                key, message = f"schedule:{post.schedule_id}:notice:{worked}", messages.undelivered_slot(post, error)
            case "say" if now - post.created_at > ASKER_WAITS:
                key, message = f"post:{post.id}:notice", messages.undelivered_say(post, error)
            case "question" if post.recipient_id is None:  # it cannot be asked in the channel: ask the one who called for the post
                key, message = f"{post.dedupe_key}:alone", Message.from_dict(post.message or {})
            case "notice" if await self._is_to_managers(post):
                key, message = f"post:{post.id}:notice", questions.undelivered(post, error)
            case _:
                return
        found = await self._posts.get(post.about_id) if post.about_id else None
        about = found or post
        recipient_id = self.owner_of(post.guild_id) if post.kind == "notice" else await self.owner(about)
        if recipient_id:
            await self._posts.insert(
                tx,
                dedupe_key=key,
                kind="question" if post.kind == "question" else "notice",
                guild_id=post.guild_id,
                channel_id=0,
                created_by=0,
                now=now,
                message=message.to_dict(),
                recipient_id=recipient_id,
                about_id=about.id,
            )

    async def _is_to_managers(self, post: Post) -> bool:
        settings = await self._guilds.get(post.guild_id)
        return post.recipient_id is None and settings is not None and settings.moderation_channel == post.channel_id

    async def owner(self, post: Post) -> int:
        """Who called for a post; 0 for nobody that is known."""
        job = await self._jobs.get(post.job_id) if post.created_by == 0 and post.job_id else None
        return job.user_id if job else post.created_by
