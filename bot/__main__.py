"""The command `mynah`, also as `python -m bot`. Standard library only: a first signal is heard before anything heavy is imported."""

import os
import signal
import sys


def main() -> None:
    """Entry point."""
    if sys.argv[1:2] == ["run"]:
        # A container's first process does not hear a signal that it has no handler for, and importing takes a second. Nothing has begun.
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    from bot.cli import main as command  # noqa: PLC0415 -- heavy, see above

    command()


if __name__ == "__main__":
    main()
