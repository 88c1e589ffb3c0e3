"""Edited tweets: an archive holds each version as a tweet of its own, and the last one counts."""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from bot.errors import BrokenArchive
from bot.tweets.source import Tweet

APART = 200
"""Tweets that may stand between an older version, which does not know of the later one, and that one behind it: what a person writes in
the hour for which a tweet may be edited."""
MAX_REPLACED = 500_000
"""Ids, which take some 50 MB. X lets a tweet be edited five times, and few are."""
_MAX_ID_CHARACTERS = 40


def last_versions(read: Iterable[tuple[Mapping[str, object], Tweet]]) -> Iterator[Tweet]:
    """The tweets in `read`, each with the record that it was made of, without those that a later version replaces.

    Raises:
        BrokenArchive: more of them were edited than anybody edits.
    """
    replaced: set[str] = set()
    waiting: deque[Tweet] = deque()
    for record, tweet in read:
        versions = _versions(record)
        if tweet.id in versions:
            replaced.update(versions[:-1])
        if len(replaced) > MAX_REPLACED:
            raise BrokenArchive("The archive holds more edited tweets than anybody writes; download it again from X.")
        waiting.append(tweet)
        if len(waiting) > APART and (oldest := waiting.popleft()).id not in replaced:
            yield oldest
    yield from (tweet for tweet in waiting if tweet.id not in replaced)


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
    return [shown for one in ids if len(shown := str(one)) <= _MAX_ID_CHARACTERS] if isinstance(ids, list) else []
