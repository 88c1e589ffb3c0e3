"""What can be wrong with the database file. Each message is one sentence for the operator."""

from pathlib import Path


class StorageProblem(Exception):
    """The database cannot be opened."""


class InUse(StorageProblem):
    """Another process has the database open for writing."""

    def __init__(self, path: Path, pid: int | None) -> None:
        self.pid = pid
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{path} is in use by {who}: only one Mynah may write it, so stop that one first.")


class Newer(StorageProblem):
    """The file was written by a newer Mynah."""

    def __init__(self, path: Path, found: int, known: int, backup: Path | None) -> None:
        super().__init__(
            f"{path} has schema {found} and this Mynah knows up to {known}: "
            f"install the newer Mynah again, or go back to {_named(path, backup)}."
        )


class Corrupt(StorageProblem):
    """The file is damaged."""

    def __init__(self, path: Path, detail: str, backup: Path | None) -> None:
        super().__init__(f"{path} is damaged ({detail}): move it away and put in its place {_named(path, backup)}.")


def _named(path: Path, backup: Path | None) -> str:
    return f"the newest good backup, {backup}" if backup else f"a backup of your own (there is no good one in {path.parent / 'backups'})"
