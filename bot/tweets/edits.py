"""Edited tweets: an archive holds each version as a tweet of its own, and the last one counts."""

from collections.abc import Mapping


class Edits:
    """Remembers, while tweets go by, which ids were replaced by a later version."""

    def __init__(self) -> None:
        """No tweet has been seen."""
        self._replaced: set[str] = set()

    def replaced(self, record: Mapping[str, object]) -> bool:
        """Whether a later version of this tweet exists."""
        own = str(record.get("id_str") or record.get("id"))
        versions = _versions(record)
        if own in versions:
            self._replaced.update(versions[:-1])
        return own in self._replaced


def _versions(record: Mapping[str, object]) -> list[str]:
    """Ids of all versions, the first one first; empty where the record says nothing."""
    info = record.get("edit_info")
    if not isinstance(info, Mapping):
        return []
    control = info.get("initial")
    edit = info.get("edit")
    if isinstance(edit, Mapping):
        control = edit.get("editControlInitial")
    ids = control.get("editTweetIds") if isinstance(control, Mapping) else None
    return [str(one) for one in ids] if isinstance(ids, list) else []
