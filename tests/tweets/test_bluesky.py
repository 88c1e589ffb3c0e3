"""Bluesky's odd answers about an account: who has declared that no AI may learn from them, and what its refusals mean."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from bot.errors import Declined, Missing, NoAccess, Protected, RateLimited, SourceDown, Suspended
from bot.tweets.bluesky import DIRECTORY, HOST, Bluesky
from bot.tweets.source import Page, Tweet
from bot.tweets.web import Patience
from tests.clock import ManualClock
from tests.contracts.sources.bluesky import HOME, BlueskyWorld, ok
from tests.contracts.sources.stub import Reply, Stub
from tests.contracts.sources.world import BEGIN, Account
from tests.tweets.blueskyfeed import AUTHOR, DID, HERON, Json, at, own


@pytest.fixture
def world() -> BlueskyWorld:
    made = BlueskyWorld()
    made.accounts["heron"] = Account(HERON.handle, posts=list(HERON.posts))
    return made


@pytest.fixture
async def bluesky(stub: Stub) -> AsyncIterator[Bluesky]:
    source = Bluesky(clock=ManualClock(BEGIN), connector=stub.connector(), patience=Patience(pause=AsyncMock()))
    yield source
    await source.close()


async def read(source: Bluesky) -> tuple[Page, tuple[Tweet, ...]]:
    page = await source.page(await source.profile("heron.bsky.social"))
    return page, page.tweets


NO = {"allow": False, "updatedAt": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("collection", "record"),
    [
        ("org.user-intents.declaration", {"syntheticContentGeneration": NO}),
        ("org.user-intents.declaration", {"org.user-intents.syntheticContentGeneration": NO}),
        ("org.user-intents.declaration", {"syntheticContentGeneration": "disallow"}),
        ("org.user-intents.demo.declaration", {"syntheticContentGeneration": NO, "bulkDataset": {"allow": True}}),
        ("community.lexicon.preference.ai", {"preferences": {"training": NO, "inference": {"allow": True}}}),
        ("community.lexicon.preference.ai", {"preferences": {"syntheticContent": NO}}),
    ],
)
async def test_a_declaration_is_honoured(bluesky: Bluesky, world: BlueskyWorld, collection: str, record: Json) -> None:
    world.records[collection] = record
    with pytest.raises(Declined, match=f"@heron.bsky.social has declared .*{collection}"):
        await bluesky.profile("heron.bsky.social")
    assert world.feeds == 0, "nothing was read"


@pytest.mark.parametrize(
    ("collection", "record"),
    [
        ("org.user-intents.declaration", {"syntheticContentGeneration": {"allow": True, "updatedAt": "2026-01-01T00:00:00Z"}}),
        ("org.user-intents.declaration", {"syntheticContentGeneration": {"updatedAt": "2026-01-01T00:00:00Z"}}),
        ("org.user-intents.demo.declaration", {"bulkDataset": NO, "publicAccessArchive": NO, "protocolBridging": NO}),
        ("community.lexicon.preference.ai", {"preferences": {"embedding": NO, "inference": NO}}),
        ("community.lexicon.preference.ai", {"preferences": 7}),
        ("org.user-intents.declaration", {}),
    ],
)
async def test_a_declaration_about_something_else_is_none(bluesky: Bluesky, world: BlueskyWorld, collection: str, record: Json) -> None:
    world.records[collection] = record
    assert len((await read(bluesky))[1]) == 1


def described(words: str) -> Reply:
    return ok({**AUTHOR, "displayName": "Heron", "description": words})


@pytest.mark.parametrize(
    "words",
    [
        "Poet. #NoAI",
        "no bots please",
        "NO AI TRAINING",
        "Do not train on my posts",
        "Never train an AI on me",
        "Please do not use my posts here to train models",
        "#nobot #art",
    ],
)
async def test_a_profile_that_says_no_is_honoured(bluesky: Bluesky, stub: Stub, words: str) -> None:
    stub.instead(described(words))
    with pytest.raises(Declined, match="says “"):
        await bluesky.profile("heron.bsky.social")


@pytest.mark.parametrize(
    "words",
    [
        "I train dogs and AI",
        "I never train on Mondays",
        "There is no aim here",
        "robots.txt fan, #nobody",
        "Nobots band",
        "I know AI #noaim",
    ],
)
async def test_a_profile_that_says_something_else_is_read(bluesky: Bluesky, stub: Stub, words: str) -> None:
    stub.instead(described(words))
    assert (await bluesky.profile("heron.bsky.social")).id == DID


DOCUMENTS: dict[str, object] = {
    "a list": [],
    "no services": {"id": DID},
    "another service": {"service": [{"id": "#bsky_chat", "serviceEndpoint": f"https://{HOME}"}]},
    "no address": {"service": [{"id": "#atproto_pds", "serviceEndpoint": {"uri": "x"}}]},
    "plain http": {"service": [{"id": "#atproto_pds", "serviceEndpoint": f"http://{HOME}"}]},
    "an inner name": {"service": [{"id": "#atproto_pds", "serviceEndpoint": "https://printer.local"}]},
    "an inner number": {"service": [{"id": "#atproto_pds", "serviceEndpoint": "https://10.0.0.1"}]},
    "this machine": {"service": [{"id": "#atproto_pds", "serviceEndpoint": "https://localhost"}]},
    "another port": {"service": [{"id": "#atproto_pds", "serviceEndpoint": f"https://{HOME}:8443"}]},
    "a name that leads nowhere": {"service": [{"id": "#atproto_pds", "serviceEndpoint": "https://gone.heron.net"}]},
}


@pytest.mark.parametrize("odd", DOCUMENTS)
async def test_where_no_declaration_can_be_looked_up_nothing_is_read(bluesky: Bluesky, world: BlueskyWorld, stub: Stub, odd: str) -> None:
    world.documents[DID] = DOCUMENTS[odd]
    with pytest.raises(SourceDown, match=r"@heron\.bsky\.social"):
        await bluesky.profile("heron.bsky.social")
    assert {asked.host for asked in stub.asked} == {HOST, DIRECTORY}
    assert world.feeds == 0


@pytest.mark.parametrize(
    "reply",
    [
        Reply({"error": "InvalidRequest", "message": "Could not find repo"}, 400),
        Reply({}, 403),
        Reply("<html>", 200),
        Reply({"error": "InternalServerError"}, 500),
    ],
)
async def test_a_home_that_does_not_say_lets_nothing_be_read(bluesky: Bluesky, world: BlueskyWorld, stub: Stub, reply: Reply) -> None:
    profile, document = ok({**AUTHOR, "displayName": "Heron"}), world._document(DID)
    stub.instead(profile, document, reply, reply, reply)
    with pytest.raises(SourceDown, match=r"@heron\.bsky\.social"):
        await bluesky.profile("heron.bsky.social")


async def test_a_limit_at_the_home_is_a_limit(bluesky: Bluesky, world: BlueskyWorld, stub: Stub) -> None:
    limit = Reply({"error": "RateLimitExceeded"}, 429, {"RateLimit-Reset": str(int(at(3).timestamp()))})
    stub.instead(ok({**AUTHOR, "displayName": "Heron"}), world._document(DID), limit)
    with pytest.raises(RateLimited) as caught:
        await bluesky.profile("heron.bsky.social")
    assert caught.value.until == at(3)


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (Reply({"error": "AccountTakedown", "message": "Account has been suspended"}, 400), Suspended, "suspended"),
        (Reply({"error": "AccountDeactivated", "message": "Account is deactivated"}, 400), Missing, "deactivated"),
        (Reply({"error": "InvalidRequest", "message": "Profile not found"}, 400), Missing, "no account"),
        (Reply({"error": "InvalidRequest", "message": "Could not find user info for account: did:plc:x"}, 400), Missing, "no account"),
        (Reply({"error": "AuthMissing", "message": "Authentication Required"}, 401), NoAccess, "signed in"),
        (Reply({"error": "Nonsense", "message": "{}\n<b>" + "x" * 500}, 400), SourceDown, "Nonsense"),
        (Reply([{"error": "AccountTakedown"}], 400), SourceDown, "HTTP 400"),
        (ok({**AUTHOR, "handle": "handle.invalid"}), Missing, "heron.bsky.social"),
        (ok({**AUTHOR, "handle": "renamed.example"}), Missing, "renamed"),
        (ok({**AUTHOR, "did": "../../x"}), SourceDown, "cannot read"),
        (ok({**AUTHOR, "labels": [{"val": "!no-unauthenticated"}]}), Protected, "signed in"),
        (ok({**AUTHOR, "labels": [{"val": "!takedown"}]}), Suspended, "suspended"),
        (ok({"profiles": []}), SourceDown, "cannot read"),
    ],
)
async def test_what_refusals_mean(bluesky: Bluesky, stub: Stub, reply: Reply, error: type[Exception], words: str) -> None:
    stub.always(reply)
    with pytest.raises(error, match=words):
        await bluesky.profile("heron.bsky.social")


@pytest.mark.parametrize("handle", ["nasa", "heron@example.social", "heron..social", "did:plc:x"])
async def test_a_name_that_is_no_domain_is_asked_of_nobody(bluesky: Bluesky, stub: Stub, handle: str) -> None:
    with pytest.raises(Missing):
        await bluesky.profile(handle)
    assert stub.asked == []


async def test_an_account_that_keeps_its_own_name_server(stub: Stub, world: BlueskyWorld, bluesky: Bluesky) -> None:
    """did:web: the document is where the account's own domain is."""
    stub.instead(
        ok({**AUTHOR, "did": f"did:web:{HOME}"}),
        Reply({"service": [{"id": f"did:web:{HOME}#atproto_pds", "serviceEndpoint": f"https://{HOME}/"}]}),
        *[Reply({"error": "RecordNotFound"}, 400)] * 3,
    )
    assert (await bluesky.profile("heron.bsky.social")).id == f"did:web:{HOME}"
    assert [asked.path for asked in stub.asked][1] == "/.well-known/did.json"
    assert all(asked.host != DIRECTORY for asked in stub.asked)


async def test_a_feed_that_gives_the_same_page_for_ever_ends(bluesky: Bluesky, stub: Stub, world: BlueskyWorld) -> None:
    profile = await bluesky.profile("heron.bsky.social")
    stub.instead(ok({"feed": [own("Again")], "cursor": "2026"}))
    assert (await bluesky.page(profile, cursor="2026")).cursor is None


@pytest.mark.shared
async def test_the_recorded_exchanges(shared: Path, bluesky: Bluesky, world: BlueskyWorld, stub: Stub) -> None:
    account, feed = (
        json.loads((shared / f"data/bluesky/get_{name}.json").read_text("utf-8"))["response"]["body"] for name in ("profile", "author_feed")
    )
    none = Reply({"error": "RecordNotFound"}, 400)
    home = Reply({"service": [{"id": "#atproto_pds", "serviceEndpoint": f"https://{HOME}"}]})
    stub.instead(ok(account), home, *[none] * 3, ok(feed), home, *[none] * 3, ok({"feed": []}), home, *[none] * 3)
    profile = await bluesky.profile("chriskenny.bsky.social")
    first = await bluesky.page(profile)
    last = await bluesky.page(profile, cursor=first.cursor)
    assert (profile.name, profile.posts, first.cursor, first.read) == ("Chris Kenny", 65, feed["cursor"], 50)
    assert (len(first.tweets), sum(tweet.is_retweet for tweet in first.tweets)) == (50, 7)
    assert (last.tweets, last.cursor) == ((), None)


@pytest.mark.shared
@pytest.mark.parametrize(("case", "error"), [("suspended", Suspended), ("not_found", Missing), ("invalid_request_recorded", Missing)])
async def test_the_recorded_errors(shared: Path, bluesky: Bluesky, stub: Stub, case: str, error: type[Exception]) -> None:
    found = next(one for one in json.loads((shared / "data/bluesky/errors.json").read_text("utf-8")) if one["case"] == case)
    stub.always(Reply(found["body"], found["status"]))
    with pytest.raises(error):
        await bluesky.profile("heron.bsky.social")
