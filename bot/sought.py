"""Which of the names that a database holds were forgotten: by the name where it is known, else by trying each one's digest."""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from bot.digests import digest
from storage.erased import Named, Target
from storage.privacy import Erasure, Statement
from storage.times import to_text

USER = "user:"
"""Begins the name of a Discord user, and the digest that is made of it."""
_digest = lru_cache(maxsize=100_000)(digest)


def hashed(name: str, salt: str) -> str:
    """The digest of an account's handle or of `user:<id>`, as an erasure has it. Not for the event loop."""
    return (USER if name.startswith(USER) else "") + _digest(name, salt)


def target(name: str, *, guild_id: int, statement: Statement) -> Target:
    """Who that is, and where they are forgotten."""
    if name.startswith(USER):
        return Target(user_id=int(name.removeprefix(USER)))
    return Target(handle=name, guild_id=guild_id if statement == "manager" else None)


class Sought:
    """Looks for what was forgotten. Its methods are work for a thread."""

    def __init__(self, erasures: Sequence[Erasure], salts: Sequence[str], known: Mapping[str, str]) -> None:
        """`known`: names by their digests, as far as they have been told since the start."""
        self._erasures, self._salts, self._known = erasures, salts, known

    def targets(self, named: Named) -> list[Target]:
        """Those that a copy names. One that was made afterwards names what has come since, and that is not forgotten."""
        wanted = [erasure for erasure in self._erasures if (erasure.digest, to_text(erasure.created_at)) not in named.erasures]
        pool = named.handles | {f"{USER}{user}" for user in named.users}
        found = [(erasure, self._name(erasure.digest, pool)) for erasure in wanted]
        return [target(name, guild_id=erasure.guild_id, statement=erasure.statement) for erasure, name in found if name is not None]

    def has(self, handle: str) -> bool:
        """Whether that account was forgotten everywhere."""
        return any(self._name(erasure.digest, {handle}) for erasure in self._erasures if erasure.statement != "manager")

    def _name(self, wanted: str, pool: Collection[str]) -> str | None:
        if wanted in self._known:
            return self._known[wanted] if self._known[wanted] in pool else None
        alike = (name for name in pool if name.startswith(USER) == wanted.startswith(USER))
        return next((name for name in alike if any(hashed(name, salt) == wanted for salt in self._salts)), None)
