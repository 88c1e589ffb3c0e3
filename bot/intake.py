"""Intake: what a member names and hands over, made into a Training: files taken in, the base chosen. Knows no Discord."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bot.bases import choose_base, choose_multilingual
from bot.clock import Clock
from bot.config import Settings
from bot.errors import BadInput
from bot.handles import JOINT, mash_up
from bot.privacy import Privacy
from bot.spending import Cost, Spending
from bot.tweets.accounts import make_source
from bot.tweets.x import X
from bot.uploads import Uploads
from storage.jobs import Material, Training

Service = Literal["x", "bluesky", "mastodon"]
SERVICES: dict[Service, str] = {"x": "X", "bluesky": "Bluesky", "mastodon": "Mastodon"}
"""Where tweets can be read from, and what people call it."""
ALL_OF_THEM = (
    "Mynah needs the tweets themselves. X gives a person their own: Settings → Your account → Download an archive of your data. "
    "Then use /train with handle and archive, and the zip that X sent. When Discord finds the zip too large, unpack it and zip only "
    "tweets.js from its folder data, with tweets-part1.js and so on and note-tweet.js where there are any; or the operator of this bot "
    "runs: mynah train @handle --from archive.zip. A public account on Bluesky can be read with source."
)
"""How to bring tweets."""


@dataclass(frozen=True)
class Given:
    """A file that is handed over."""

    name: str
    size: int
    """Bytes."""
    save: Callable[[Path], Awaitable[object]]
    """Puts it where it is told to."""


@dataclass(frozen=True)
class Account:
    """Whose tweets, and the file with them where one was handed over."""

    handle: str
    """Normalised, and of one account."""
    file: Given | None = None


class Intake:
    """The way in."""

    def __init__(self, *, settings: Settings, home: Path, uploads: Uploads, privacy: Privacy, spending: Spending, clock: Clock) -> None:
        self._settings, self._home, self._clock = settings, home, clock
        self._uploads, self._privacy, self._spending = uploads, privacy, spending

    async def cost(self, training: Training) -> Cost | None:
        """What reading it would cost at most; None: nothing. How much there is to read is known once the account has been looked up.

        Raises:
            Spent: this month's budget does not pay for looking it up.
        """
        accounts = sum(material.source == "x" for material in training.materials)
        if not accounts:
            return None
        await self._spending.check(0, accounts=accounts)
        return await self._spending.estimate(accounts * X.depth, accounts=accounts)

    @asynccontextmanager
    async def taken(self, accounts: Sequence[Account], *, service: Service | None, preset: str) -> AsyncIterator[Training]:
        """What these accounts make; files are kept, unless what is done then with the training fails.

        An account without a file is to be read from the service.

        Raises:
            BadInput: there is no way to an account's tweets, or they cannot be one character.
            NoAccess: the operator does not let that service be asked.
            NotAllowed: an account may not be trained on. Nothing has been saved then.
        """
        _check(accounts, service)
        handle = mash_up(account.handle for account in accounts)
        await self._privacy.check([account.handle for account in accounts])
        if service is not None:
            await make_source(service, self._settings, clock=self._clock).close()
        base, base_name = choose_base(self._settings.base_model, self._home)
        room = self._uploads.room()
        try:
            materials = [await self._material(account, service, room) for account in accounts]
            yield Training(
                handle=handle,
                materials=tuple(materials),
                source_path=str(room / materials[0].path),
                base=base,
                base_name=base_name,
                seed=secrets.randbits(32),
                preset=preset,
                multilingual=choose_multilingual(self._settings.base_model, self._settings.multilingual_base, self._home),
            )
        except BaseException:
            self._uploads.discard(room / "any")
            raise

    async def _material(self, account: Account, service: Service | None, room: Path) -> Material:
        if account.file is not None:
            path = await self._uploads.save(account.file.name, account.file.size, account.file.save, room=room)
            return Material(account.handle, "file", path.name, account.file.name)
        if service is None:
            raise BadInput(ALL_OF_THEM)
        path = self._uploads.fetched(room, service, account.handle)
        return Material(account.handle, service, path.name, f"@{account.handle} on {SERVICES[service]}")


def _check(accounts: Sequence[Account], service: Service | None) -> None:
    for account in accounts:
        if JOINT in account.handle:
            raise BadInput(f"@{account.handle} is a mash-up: name each of its accounts alone, with handle, second and third.")
    without = [account for account in accounts if account.file is None]
    if without and service is None:
        who = f"There are no tweets of @{without[0].handle}. " if len(accounts) > 1 else ""
        raise BadInput(who + ALL_OF_THEM)
    if service is not None and not without:
        raise BadInput(f"There is a file for every account, so nothing is left to read from {SERVICES[service]}: leave out one of the two.")
