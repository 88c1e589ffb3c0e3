"""Intake: what a member or the operator names and hands over, made into a Training: files taken in, the base chosen. Knows no Discord."""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.bases import choose_base, choose_multilingual
from bot.clock import Clock
from bot.config import Settings
from bot.errors import BadInput
from bot.handles import JOINT, mash_up
from bot.privacy import Privacy
from bot.spending import Cost, Spending
from bot.tweets.accounts import SERVICES, Service, make_source
from bot.tweets.x import X
from bot.uploads import Uploads
from storage.trainings import Material, Training

ALL_OF_THEM = (
    "Mynah needs the tweets themselves. X gives a person their own: Settings → Your account → Download an archive of your data. "
    "Then use /train with handle and archive, and the zip that X sent. When Discord finds the zip too large, unpack it and zip only "
    "tweets.js from its folder data, with tweets-part1.js and so on and note-tweet.js where there are any; or the operator of this bot "
    "runs: mynah train @handle --from archive.zip. A public account on Bluesky can be read with source."
)
"""How a member brings tweets."""


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
    file: Given | Path | None = None
    """A path stays where it lies."""


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
    async def taken(
        self,
        accounts: Sequence[Account],
        *,
        service: Service | None,
        preset: str,
        base: str | None = None,
        seed: int | None = None,
        bring: str = ALL_OF_THEM,
    ) -> AsyncIterator[Training]:
        """What these accounts make; files are kept, unless what is done then with the training fails.

        Args:
            accounts: whose tweets; one without a file is to be read from the service.
            service: that is asked.
            preset: how thoroughly to train.
            base: by name; None: what the settings say.
            seed: of everything random; None: any.
            bring: how tweets are brought, for those who have named none.

        Raises:
            BadInput: there is no way to an account's tweets, or they cannot be one character.
            NoAccess: the operator does not let that service be asked.
            NotAllowed: an account may not be trained on. Nothing has been saved then.
        """
        _check(accounts, service, bring)
        handle = mash_up(account.handle for account in accounts)
        await self._privacy.check([account.handle for account in accounts])
        if service is not None:
            await make_source(service, self._settings, clock=self._clock).close()
        wanted = base or self._settings.base_model
        base_folder, base_name = choose_base(wanted, self._home)
        room = self._uploads.room()
        try:
            materials = [await self._material(account, service, room) for account in accounts]
            held = next((material for material in materials if not Path(material.path).is_absolute()), materials[0])
            yield Training(
                handle=handle,
                materials=tuple(materials),
                source_path=str(room / held.path),
                base=base_folder,
                base_name=base_name,
                seed=secrets.randbits(32) if seed is None else seed,
                preset=preset,
                multilingual=choose_multilingual(wanted, self._settings.multilingual_base, self._home),
            )
        except BaseException:
            self._uploads.discard(room / "any")
            raise

    async def _material(self, account: Account, service: Service | None, room: Path) -> Material:
        if isinstance(account.file, Path):
            return Material(account.handle, "file", str(account.file), account.file.name)
        if account.file is not None:
            path = await self._uploads.save(account.file.name, account.file.size, account.file.save, room=room)
            return Material(account.handle, "file", path.name, account.file.name)
        if service is None:
            raise RuntimeError(f"@{account.handle} has neither a file nor a service")
        path = self._uploads.fetched(room, service, account.handle)
        return Material(account.handle, service, path.name, f"@{account.handle} on {SERVICES[service]}")


def _check(accounts: Sequence[Account], service: Service | None, bring: str) -> None:
    for account in accounts:
        if JOINT in account.handle:
            raise BadInput(
                f"@{account.handle} is a mash-up: name each of its accounts alone, with handle, second and third (at the shell: "
                f"mynah train {account.handle.replace(JOINT, ' ')})."
            )
    without = [account for account in accounts if account.file is None]
    if without and service is None:
        raise BadInput(f"There are no tweets of @{without[0].handle}. {bring}")
    if service is not None and not without:
        raise BadInput(f"There is a file for every account, so nothing is left to read from {SERVICES[service]}: leave out one of the two.")
