"""Posts of sources that cut nothing keep their own … at the end, from the source through the job's file to what is taught."""

from pathlib import Path

import pytest

from bot.tweets import feed, statuses
from bot.tweets.cleaning import clean
from bot.tweets.files import read_source
from bot.tweets.journal import Journal
from bot.tweets.source import Page, Profile, Tweet

TEXT = f"{'so it goes on for a while ' * 5}and so on…"
DID = "did:plc:heron"


def of_bluesky() -> tuple[Tweet, ...]:
    record = {"text": TEXT, "createdAt": "2026-01-02T03:04:05Z"}
    post = {"uri": f"at://{DID}/app.bsky.feed.post/3kabcdefghi2j", "author": {"did": DID}, "record": record}
    return feed.tweets([{"post": post}], DID)[0]


def of_mastodon() -> tuple[Tweet, ...]:
    status = {
        "id": "1",
        "visibility": "public",
        "content": f"<p>{TEXT}</p>",
        "created_at": "2026-01-02T03:04:05Z",
        "account": {"id": "7"},
    }
    return statuses.tweets([status], "7")


@pytest.mark.parametrize("posts", [of_bluesky(), of_mastodon()])
def test_a_pause_at_the_end_is_the_writers_own(posts: tuple[Tweet, ...], tmp_path: Path) -> None:
    journal = Journal(tmp_path / "heron.jsonl", "heron")
    journal.begin(Profile("heron"), None)
    journal.add(Page(posts, None, len(posts)))
    journal.write()
    [kept] = clean(read_source(tmp_path / "heron.jsonl")[1]).kept
    assert (kept.text, kept.cut) == (TEXT, False)
