"""Reports: what members say is wrong with a post or a character, kept and told to the managers of their server. Knows no Discord."""

import re
from dataclasses import dataclass

from bot import receipts
from bot.errors import BadInput, NotFound
from bot.moderation import Moderation
from bot.privacy import Privacy
from bot.wording import called
from storage.characters import Character, CharacterStore
from storage.database import Database
from storage.posts import Post, PostStore
from storage.privacy import Report

_MESSAGE = re.compile(r"(?:https://\S*/)?([0-9]{15,20})/?")
"""A link to a message, or its id."""


@dataclass(frozen=True)
class Reporter:
    """Who reports, and where."""

    guild_id: int
    channel_id: int
    user_id: int
    owner_id: int | None
    """Who owns the server, and is told when there is no channel for it."""


@dataclass(frozen=True)
class Told:
    """What became of a report."""

    report: Report
    told: bool
    """Somebody is told of it; else it is only kept."""


class Reports:
    """Takes them down."""

    def __init__(self, *, database: Database, privacy: Privacy, moderation: Moderation) -> None:
        self._database, self._privacy, self._moderation = database, privacy, moderation
        self._characters, self._posts = CharacterStore(database), PostStore(database)

    async def about_post(self, post_id: int, reason: str, reporter: Reporter) -> Told:
        """Report a post by its number.

        Raises:
            NotFound: the server has no such post.
            BadInput: there is no reason.
        """
        post = await self._posts.get(post_id)
        if post is None or post.guild_id != reporter.guild_id:
            raise NotFound("This post is not known any more, so it cannot be reported here: tell the managers of this server.")
        return await self._take(reason, reporter, post=post)

    async def about(self, reason: str, reporter: Reporter, *, handle: str | None, link: str | None) -> Told:
        """Report a post, by a link to its message, or else a character, by its handle.

        Raises:
            NotFound: it is not here.
            BadInput: neither is named, or there is no reason.
        """
        if link is not None:
            return await self._take(reason, reporter, post=await self._post_at(link, reporter.guild_id))
        if handle is None:
            raise BadInput("Say what the report is about: choose a character, or give the link to a post (its menu, Copy Message Link).")
        character = await self._characters.find(reporter.guild_id, handle)
        if character is None:
            raise NotFound(f"There is no character {called(handle)} here: /character list shows those there are.")
        return await self._take(reason, reporter, character=character)

    async def _post_at(self, link: str, guild_id: int) -> Post:
        found = _MESSAGE.fullmatch(link.strip())
        if found is None:
            raise BadInput(f"{link.strip()[:60]!r} is no link to a message: take it from the post's menu, Copy Message Link.")
        post = await self._posts.at_message(guild_id, int(found[1]))
        if post is None:
            raise NotFound("That message is no post of a character of this server: tell its managers of other things yourself.")
        return post

    async def _take(self, reason: str, reporter: Reporter, *, post: Post | None = None, character: Character | None = None) -> Told:
        if post is not None and post.character_id is not None:
            character = await self._characters.get(post.character_id)
        report = await self._privacy.report(
            guild_id=reporter.guild_id,
            channel_id=reporter.channel_id,
            user_id=reporter.user_id,
            reason=reason,
            handle=character.handle if character else None,
            post_id=post.id if post else None,
        )
        async with self._database.transaction() as tx:
            told = await self._moderation.tell(
                tx,
                reporter.guild_id,
                receipts.report(report, post),
                dedupe_key=f"report:{report.id}",
                else_to=reporter.owner_id,
                about=character,
            )
        return Told(report, told)
