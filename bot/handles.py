"""Handles: the account names by which people and characters are called."""

import re

from bot.errors import BadInput

_ADDRESS = re.compile(r"^(?:https?://)?(?:www\.|mobile\.)?(?:x|twitter)\.com/", re.IGNORECASE)
_ALLOWED = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,61}[a-z0-9_])?")


def normalise(handle: str) -> str:
    """The handle as it is stored: no @ before it, lower case; the address of a profile on X is taken too.

    Raises:
        BadInput: it is no account name: letters, digits, `_`, and `.` or `-` inside, 63 at most.
    """
    plain = _ADDRESS.sub("", handle.strip()).removeprefix("@").lower()
    if not _ALLOWED.fullmatch(plain) or ".." in plain:
        raise BadInput(
            f"{handle.strip()[:70]!r} is no handle: it may have letters, digits and underscores, with dots or dashes inside, "
            "up to 63 characters, such as @nasa."
        )
    return plain
