"""How a name is kept that must be known again and must not be read."""

import hashlib


def digest(handle: str, salt: str) -> str:
    """The hex digest of a handle, or of `user:<id>`: 64 characters, the same for every spelling that `normalise` makes one.

    Handles are few enough to try them all, so that each try is made dear: about 40 ms and 16 MiB. Not for the event loop.
    """
    name = handle.strip().removeprefix("@").lower()
    return hashlib.scrypt(name.encode(), salt=salt.encode(), n=2**14, r=8, p=1, dklen=32).hex()
