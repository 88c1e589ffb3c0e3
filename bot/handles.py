"""Handles: the account names by which people and characters are called.

nasa                      an account on X, or of nowhere in particular
alice.bsky.social         on Bluesky
alice@example.social      on Mastodon
nasa+sensanders           a mash-up: two or three of them, in alphabetical order
"""

import re
from collections.abc import Iterable

from bot.errors import BadInput

LONGEST = 80
"""Characters of a handle, of a mash-up all in all: the buttons under messages carry it."""
MOST = 3
"""Accounts that one character may learn from."""
JOINT = "+"

_X = re.compile(r"(?:https?://)?(?:www\.|mobile\.)?(?:x|twitter)\.com/@?(?P<name>[^/?#]+)", re.IGNORECASE)
_BLUESKY = re.compile(r"(?:https?://)?bsky\.app/profile/@?(?P<name>[^/?#]+)", re.IGNORECASE)
_MASTODON = re.compile(r"https?://(?P<server>[^/?#@]+)/(?:@|users/)(?P<name>[^/?#@]+)(?:@(?P<home>[^/?#@]+))?", re.IGNORECASE)
_NAME = r"[a-z0-9_](?:[a-z0-9_.-]{0,61}[a-z0-9_])?"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_ALLOWED = re.compile(rf"{_NAME}(?:@{_LABEL}(?:\.{_LABEL})+)?")


def normalise(handle: str) -> str:
    """The handle as it is stored: no @ before it, lower case. The address of a profile is taken too; a mash-up's handles are sorted.

    Raises:
        BadInput: it is no account name, or a mash-up of more than three.
    """
    if JOINT in handle:
        return mash_up(handle.split(JOINT))
    plain = _named(handle.strip()).removeprefix("@").lower()
    if not _ALLOWED.fullmatch(plain) or ".." in plain or len(plain) > LONGEST:
        raise BadInput(
            f"{handle.strip()[:70]!r} is no handle: write it as @nasa, alice.bsky.social or alice@example.social, "
            f"with letters, digits, _, . and - only, 63 characters at most, {LONGEST} with its server."
        )
    return plain


def mash_up(handles: Iterable[str]) -> str:
    """The handle of the character that learns from these accounts; of one account it is the account's.

    Raises:
        BadInput: one is no account name, one comes twice, or they are too many or too long together.
    """
    names = sorted(normalise(handle) for handle in handles)
    if len(names) > MOST or len(set(names)) < len(names):
        raise BadInput(f"A mash-up has two or three different accounts, and these are {_listed(names)}: name each once, {MOST} at most.")
    joined = JOINT.join(names)
    if len(joined) > LONGEST:
        raise BadInput(f"The handles have {len(joined)} characters together and {LONGEST} is the most: take fewer accounts.")
    return joined


def split(handle: str) -> tuple[str, ...]:
    """The accounts of a stored handle: one, or those of a mash-up."""
    return tuple(handle.split(JOINT))


def _named(typed: str) -> str:
    """What names the account in the address of its profile; anything else as it is."""
    for address in (_X, _BLUESKY):
        if found := address.match(typed):
            return found["name"]
    if found := _MASTODON.match(typed):
        return f"{found['name']}@{found['home'] or found['server']}"
    return typed


def _listed(names: list[str]) -> str:
    return ", ".join(f"@{name}"[:40] for name in names[: MOST + 2])
