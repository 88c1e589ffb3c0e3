"""Where the shell's words go, through rich: results to standard output, everything else, and questions, to standard error."""

from rich.console import Console
from rich.prompt import Confirm

from bot.errors import BadInput
from bot.handles import split

out = Console(highlight=False)
status = Console(stderr=True, highlight=False)


def agreed(question: str, *, yes: bool) -> None:
    """Say what is about to be done, and have it confirmed; with `yes` it has been.

    Raises:
        BadInput: it is not wanted, or nobody is there to ask.
    """
    if yes:
        status.print(question, soft_wrap=True)
    elif not status.is_terminal:
        raise BadInput(f"{question} Confirm it with --yes.")
    elif not Confirm.ask(f"{question} Go on?", console=status, default=False):
        raise BadInput("Nothing was done.")


def called(handle: str) -> str:
    """A character's account, or the accounts of a mash-up: @heron and @wren."""
    return " and ".join(f"@{one}" for one in split(handle))
