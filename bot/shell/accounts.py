"""At the shell: whose tweets a training gets, as it is typed."""

from collections.abc import Sequence
from pathlib import Path

from bot.errors import BadInput
from bot.handles import normalise
from bot.intake import Account

NO_TWEETS = (
    "Give a file with --from (an X archive zip, tweets.js, an outbox.json, JSON lines, CSV or text), "
    "or name where the posts are read with --source x, bluesky or mastodon."
)


def read_accounts(handles: Sequence[str], files: Sequence[Path]) -> list[Account]:
    """What was typed: the first file is the first handle's, and so on.

    Raises:
        BadInput: a handle is none, a file is not there, or there are more files than handles.
    """
    paths = [existing(file) for file in files]
    names = [normalise(handle) for handle in handles]
    if len(paths) > len(names):
        raise BadInput(f"There are {len(paths)} files for {len(names)} accounts: give one --from for each account, in the same order.")
    return [Account(name, paths[place] if place < len(paths) else None) for place, name in enumerate(names)]


def existing(file: Path) -> Path:
    """The file's absolute path.

    Raises:
        BadInput: there is no such file.
    """
    if not file.is_file():
        raise BadInput(f"There is no file {file}: --from takes an X archive (zip), tweets.js, outbox.json, JSON lines, CSV or text file.")
    return file.resolve()
