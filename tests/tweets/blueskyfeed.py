"""Items of a feed of Bluesky's, as a test wants them."""

from datetime import timedelta
from typing import Any

from tests.contracts.sources.bluesky import did_of, item
from tests.contracts.sources.world import BEGIN, Account, Post

Json = dict[str, Any]
HERON = Account("heron.bsky.social", posts=[Post(1, "The reeds are loud today.")])
DID = did_of(HERON)
AUTHOR: Json = {"did": DID, "handle": "heron.bsky.social", "labels": []}
OTHER: Json = {"did": "did:plc:somebodyelse222222222222", "handle": "somebody.example", "labels": []}


def at(minutes: int) -> Any:
    return BEGIN + timedelta(minutes=minutes)


def own(text: str, minutes: int = 0, **record: object) -> Json:
    return item(AUTHOR, text, at(minutes), **record)


def link(begin: int, end: int, uri: object) -> Json:
    return {"index": {"byteStart": begin, "byteEnd": end}, "features": [{"$type": "app.bsky.richtext.facet#link", "uri": uri}]}
