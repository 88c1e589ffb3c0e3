"""`python -m bot.lm.packing BASE FOLDER` makes the packed copy of a base, apart because torch, once imported, stays in memory."""

import subprocess
import sys
from pathlib import Path

from bot.errors import MynahError


def pack_apart(base: str, folder: Path) -> str:
    """Make the copy in a process of its own, and wait for it: "", or in a few words why there is none."""
    done = subprocess.run([sys.executable, "-m", "bot.lm.packing", base, str(folder)], capture_output=True, text=True, check=False)  # noqa: S603  # our own
    return (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1] if done.returncode else ""


def pack(base: str, folder: Path) -> None:
    """Load a base and keep its copy, if it is one that can have a copy.

    Raises:
        BadInput: as `load_base`.
        OSError: it cannot be kept.
    """
    from bot.lm.packed import write_packed  # noqa: PLC0415  # torch and what it takes are the child's alone
    from bot.lm.quantised import load_resident  # noqa: PLC0415  # the same

    write_packed(load_resident(base), folder)


if __name__ == "__main__":
    try:
        pack(sys.argv[1], Path(sys.argv[2]))
    except (MynahError, OSError) as error:
        sys.exit(str(error))
