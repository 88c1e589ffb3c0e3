"""One writer per database file: a lock that the kernel gives back however the process ends."""

import fcntl
import os
from pathlib import Path

from storage.errors import InUse


def acquire(path: Path) -> int:
    """Take the lock beside `path` and return its file descriptor, to be kept open for life.

    Raises:
        InUse: naming the process that has it.
    """
    lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        written = os.read(lock, 32).strip()
        os.close(lock)
        raise InUse(path, int(written) if written.isdigit() else None) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def release(lock: int) -> None:
    """Give it back. The file stays: removing it would let two processes lock two files of one name."""
    os.ftruncate(lock, 0)
    fcntl.flock(lock, fcntl.LOCK_UN)  # from fork to exec a child has a copy of the descriptor: closing this one alone gives nothing back
    os.close(lock)
