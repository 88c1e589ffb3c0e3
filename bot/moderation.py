"""Moderation: what the managers of a server have set, and what they are told. Knows no Discord."""

from collections.abc import Callable

from bot.clock import Clock
from bot.errors import BadInput
from bot.messages import Message
from storage.characters import Character
from storage.database import Database, Transaction
from storage.guilds import GuildSettings, GuildStore
from storage.posts import PostStore


class Moderation:
    """The managers of servers."""

    def __init__(self, *, database: Database, clock: Clock, wake_poster: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._wake_poster = wake_poster
        self._guilds, self._posts = GuildStore(database), PostStore(database)

    async def get(self, guild_id: int) -> GuildSettings:
        """What is set; nothing, where nobody has set anything."""
        found = await self._guilds.get(guild_id)
        return found or GuildSettings(guild_id, moderation_channel=None, approval=False, set_by=0, set_at=self._clock.now())

    async def set(self, guild_id: int, *, channel_id: int | None, approval: bool | None, by: int) -> GuildSettings:
        """Change what is not None, and give what is set then.

        Raises:
            BadInput: approval without a channel to ask for it in.
        """
        async with self._database.transaction() as tx:
            former = await self.get(guild_id)
            settings = GuildSettings(
                guild_id,
                moderation_channel=channel_id or former.moderation_channel,
                approval=former.approval if approval is None else approval,
                set_by=by,
                set_at=self._clock.now(),
            )
            if settings.approval and settings.moderation_channel is None:
                raise BadInput("Approval needs a channel in which the managers are asked: choose one with channel.")
            await self._guilds.put(tx, settings)
        return settings

    async def tell(
        self,
        tx: Transaction,
        guild_id: int,
        message: Message,
        *,
        dedupe_key: str,
        else_to: int | None = None,
        about: Character | None = None,
    ) -> bool:
        """Promise a message to the moderation channel; without one to the person `else_to`, alone and without buttons.

        `about` is whom it speaks of. False: there is nobody to tell.
        """
        channel_id = (await self.get(guild_id)).moderation_channel
        if channel_id is None and else_to is None:
            return False
        await self._posts.insert(
            tx,
            dedupe_key=dedupe_key,
            kind="notice",
            guild_id=guild_id,
            channel_id=channel_id or 0,
            created_by=0,
            now=self._clock.now(),
            message=(message if channel_id else Message(message.content)).to_dict(),
            recipient_id=None if channel_id else else_to,
            character_id=about.id if about else None,
        )
        self._wake_poster()
        return True
