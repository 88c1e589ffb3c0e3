"""Bluesky's odd answers: what is a person's own post, what its text is, and who has declared that no AI may learn from them."""

import json
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.errors import Declined, Missing, NoAccess, Protected, RateLimited, SourceDown, Suspended
from bot.tweets.bluesky import DIRECTORY, HOST, Bluesky
from bot.tweets.cleaning import clean_text, unescape
from bot.tweets.facets import with_links
from bot.tweets.feed import tweets
from bot.tweets.source import Page, Tweet
from bot.tweets.strangers import public_connector, public_name
from bot.tweets.web import Patience
from tests.clock import ManualClock
from tests.contracts.sources.bluesky import HOME, BlueskyWorld, did_of, item, key_of, ok
from tests.contracts.sources.stub import Reply, Stub, running
from tests.contracts.sources.world import BEGIN, Account, Post

Json = dict[str, Any]
HERON = Account("heron.bsky.social", posts=[Post(1, "The reeds are loud today.")])
DID = did_of(HERON)
AUTHOR: Json = {"did": DID, "handle": "heron.bsky.social", "labels": []}
OTHER: Json = {"did": "did:plc:somebodyelse222222222222", "handle": "somebody.example", "labels": []}
RECORDED = Path(__file__).parents[2] / ".." / "shared" / "data" / "bluesky"


def texts(*items: object, since: str | None = None, is_last: bool = True) -> list[str]:
    return [tweet.text for tweet in tweets(list(items), DID, since=since, is_last=is_last)[0]]


def at(minutes: int) -> Any:
    return BEGIN + timedelta(minutes=minutes)


def own(text: str, minutes: int = 0, **record: object) -> Json:
    return item(AUTHOR, text, at(minutes), **record)


def link(begin: int, end: int, uri: object) -> Json:
    return {"index": {"byteStart": begin, "byteEnd": end}, "features": [{"$type": "app.bsky.richtext.facet#link", "uri": uri}]}


# Whose words they are.


def test_a_repost_is_counted_and_its_words_are_not_kept() -> None:
    reason = {"$type": "app.bsky.feed.defs#reasonRepost", "by": AUTHOR, "indexedAt": "2026-01-02T00:00:00.000Z"}
    (found,) = tweets([{**item(OTHER, "Somebody's words", at(0)), "reason": reason}], DID)[0]
    assert (found.text, found.is_retweet, f"{found.created_at:%d}") == ("", True, "02")
    assert found.id


def test_a_repost_of_oneself_is_a_repost_for_the_post_itself_comes_too() -> None:
    post = own("My own words again")
    reason = {"$type": "app.bsky.feed.defs#reasonRepost", "by": AUTHOR, "indexedAt": "2026-01-02T00:00:00.000Z"}
    found = tweets([{**post, "reason": reason}, post], DID)[0]
    assert [(one.text, one.is_retweet) for one in found] == [("", True), ("My own words again", False)]


def test_an_item_of_somebody_else_without_a_reason_is_not_the_persons_own() -> None:
    (found,) = tweets([item(OTHER, "Not mine", at(0))], DID)[0]
    assert (found.text, found.is_retweet) == ("", True)


def test_answers_and_threads_are_own_words_and_what_they_answer_or_quote_is_not() -> None:
    answer = own("Indeed it is.", 1, reply={"parent": {"uri": "at://x"}, "root": {"uri": "at://x"}})
    answer["reply"] = {"parent": {"$type": "app.bsky.feed.defs#notFoundPost", "uri": "at://x", "notFound": True}}
    quote = own("Look at this", 2)
    quote["post"]["embed"] = {"$type": "app.bsky.embed.record#view", "record": {"author": OTHER, "value": {"text": "Their words"}}}
    quote["post"]["record"]["embed"] = {"$type": "app.bsky.embed.record", "record": {"uri": "at://y"}}
    assert texts(answer, quote) == ["Indeed it is.", "Look at this"]


def test_a_pinned_post_is_taken_once_and_does_not_end_the_news() -> None:
    pinned = {**own("Pinned long ago", -9000), "reason": {"$type": "app.bsky.feed.defs#reasonPin"}}
    newer, older = own("Newer", 2), own("Older", 1)
    assert texts(pinned, newer, older, is_last=False) == ["Newer", "Older"], "it comes again on a later page"
    assert texts(pinned, newer, older, is_last=True) == ["Newer", "Older", "Pinned long ago"]
    assert texts(pinned, newer, own("Pinned long ago", -9000), is_last=False) == ["Newer", "Pinned long ago"]
    found, reached = tweets([pinned, newer], DID, since=key_of(at(1)), is_last=False)
    assert ([one.text for one in found], reached) == (["Newer"], False)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        "x",
        [],
        {},
        {"post": None},
        {"post": {"$type": "app.bsky.feed.defs#notFoundPost", "uri": "at://x", "notFound": True}},
        {"post": {"$type": "app.bsky.feed.defs#blockedPost", "uri": "at://x", "blocked": True, "author": AUTHOR}},
        {"post": {"author": AUTHOR, "record": "gone"}},
        {"post": {"author": None, "record": {"text": "whose?"}}},
    ],
)
def test_what_is_no_post_is_passed_over(odd: object) -> None:
    assert texts(odd, own("Still here")) == ["Still here"]


def test_a_post_may_lack_almost_everything() -> None:
    bare = {"post": {"author": AUTHOR, "record": {}}}
    odd = own("No langs, odd dates", createdAt="yesterday", langs=None, facets=7, labels="x", reply=[], embed=0)
    found = tweets([bare, odd], DID)[0]
    assert [one.text for one in found] == ["", "No langs, odd dates"]
    assert found[1].created_at == at(0), "Bluesky's own date stands in"


@pytest.mark.parametrize("date", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-13-45", "", 7])
def test_no_date_breaks_a_page(date: object) -> None:
    assert texts(own("A post", createdAt=date), since=key_of(at(-1))) == ["A post"]


def test_a_labelled_post_is_left_out() -> None:
    labels = {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": "graphic-media"}]}
    judged, cleared = own("Judged", 1), own("Cleared", 2)
    judged["post"]["labels"] = [{"src": "did:plc:x", "val": "spam"}]
    cleared["post"]["labels"] = [{"src": "did:plc:x", "val": "spam", "neg": True}, 7, {"val": None}]
    assert texts(own("Warned", labels=labels), judged, cleared) == ["Cleared"]


def test_an_endless_post_is_left_out() -> None:
    assert texts(own("x" * 30_001), own("short")) == ["short"]


# What the text is.


@pytest.mark.parametrize(
    ("text", "facets", "plain"),
    [
        ("see heron.example/pond/f...", [link(4, 27, "https://heron.example/pond/frogs")], "see https://heron.example/pond/frogs"),
        ("🐦é heron.example/pond/f...", [link(7, 30, "https://heron.example/pond/frogs")], "🐦é https://heron.example/pond/frogs"),
        ("🐦🐦🐦🐦🐦🐦🐦🐦 heron.example/pond/f... is where they stand", [link(33, 56, "https://heron.example/pond/frogs")],
         "🐦🐦🐦🐦🐦🐦🐦🐦 https://heron.example/pond/frogs is where they stand"),
        ("see www.heron.example", [link(4, 21, "https://heron.example/")], "see https://heron.example/"),
        ("see https://heron.example/a", [link(4, 27, "https://heron.example/a")], "see https://heron.example/a"),
        ("read my book", [link(5, 12, "https://heron.example/book")], "read my book"),
        ("use Node.js", [link(4, 11, "https://nodejs.org/")], "use Node.js"),
        ("@wren.example #birds", [{"index": {"byteStart": 0, "byteEnd": 13}, "features": [{"$type": "app.bsky.richtext.facet#mention"}]}],
         "@wren.example #birds"),
        ("(heron.example/pond/f...)", [link(2, 25, "https://heron.example/pond/frogs")], "(https://heron.example/pond/frogs)"),
        ("ø heron.example.", [link(2, 15, "https://heron.example")], "ø https://heron.example."),
        ("see heron.example", [link(4, 18, "https://heron.example")], "see heron.example"),
        ("see heron.example", [link(-4, 17, "https://heron.example")], "see heron.example"),
        ("see heron.example", [link(17, 4, "https://heron.example")], "see heron.example"),
        ("see heron.example", [link(4, 17, 7), {}, 7, {"index": 1, "features": [1]}, link(4, 17, "at://x")], "see heron.example"),
        ("see heron.example", [link(4, 17, "https://heron.example/1"), link(4, 17, "https://heron.example/2")], "see https://heron.example/1"),
        ("a.example b.example", [link(10, 19, "https://b.example"), link(0, 9, "https://a.example")], "https://a.example https://b.example"),
    ],
)  # fmt: skip
def test_links_stand_whole_whatever_the_facets_say(text: str, facets: list[Json], plain: str) -> None:
    assert with_links(text, facets) == plain


def test_a_shortened_link_is_not_learnt() -> None:
    (text,) = texts(own("Three herons at heron.example/pond/f...", facets=[link(16, 39, "https://heron.example/pond/frogs")]))
    assert clean_text(text) == ("Three herons", False)


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(-5, 60), st.integers(-5, 60), st.sampled_from(["https://a.bc/d", "", "x"]))))
def test_no_facet_breaks_a_text(text: str, ranges: list[tuple[int, int, str]]) -> None:
    plain = with_links(text, [link(begin, end, uri) for begin, end, uri in ranges])
    assert len(plain) >= len(text) - 3
    if not any(uri.startswith("https") for *_, uri in ranges):
        assert plain == text


@example("AT&T &lt;b&gt; &amp;amp; &copy")
@given(st.text(alphabet="&;ampltg# x<\n", max_size=20))
def test_what_looks_like_html_is_learnt_as_it_was_written(text: str) -> None:
    (found,) = texts(own(text))
    assert unescape(found).split() == text.split()


def test_halves_of_letters_are_dropped() -> None:
    (text,) = texts(own("a\ud800b \ud83d\ude00"))
    assert text == "ab 😀"
    assert json.dumps(text, ensure_ascii=False).encode()


# What is newer.


def test_news_are_told_by_the_key_and_not_by_the_date_that_a_post_bears() -> None:
    since = key_of(at(5))
    backdated = own("Imported", 6, createdAt="2011-01-01T00:00:00Z")
    found, reached = tweets([own("New", 9), backdated, own("Known", 5), own("Old", 1)], DID, since=since)
    assert ([one.text for one in found], reached) == (["New", "Imported"], True)
    assert tweets([own("New", 9)], DID, since=since) == (tweets([own("New", 9)], DID)[0], False)


@pytest.mark.parametrize("since", ["", "123456", "not a key", "zzzzzzzzzzzzz"])
def test_an_id_that_is_none_of_blueskys_leaves_nothing_out(since: str) -> None:
    assert texts(own("A post"), since=since) == ["A post"]


# The account, over the wire.


@pytest.fixture
def world() -> BlueskyWorld:
    made = BlueskyWorld()
    made.accounts["heron"] = Account(HERON.handle, posts=list(HERON.posts))
    return made


@pytest.fixture
async def stub(world: BlueskyWorld) -> AsyncIterator[Stub]:
    async with running(world) as made:
        yield made


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
    stub.instead(ok({**AUTHOR, "displayName": "Heron", "description": words}))
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
    stub.instead(ok({**AUTHOR, "displayName": "Heron", "description": words}))
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


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://morel.us-east.host.bsky.network", "morel.us-east.host.bsky.network"),
        ("https://pds.example.com/", "pds.example.com"),
        ("https://127.0.0.1", None),
        ("https://[::1]", None),
        ("https://user@pds.example.com", None),
        ("https://pds.example.com:444", None),
        ("ftp://pds.example.com", None),
        ("https://intranet", None),
        ("https://router.home", None),
        ("https://2130706433", None),
        ("https://[::1", None),
        (None, None),
    ],
)
def test_only_servers_of_the_public_internet_are_asked(address: object, host: str | None) -> None:
    assert public_name(address) == host


async def test_a_public_name_that_leads_into_a_private_network_is_not_followed() -> None:
    connector = public_connector()
    with pytest.raises(OSError, match="no public address"):
        await connector._resolver.resolve("localhost", 443)
    await connector.close()


# The recorded answers.


@pytest.mark.shared
def test_the_recorded_feed() -> None:
    if not RECORDED.is_dir():
        pytest.skip("../shared is not here")
    feed = json.loads((RECORDED / "get_author_feed.json").read_text("utf-8"))["response"]["body"]["feed"]
    did = feed[0]["post"]["author"]["did"]
    found, _ = tweets(feed, did, is_last=False)
    reposts = sum("reason" in one for one in feed)
    assert (len(found), sum(one.is_retweet for one in found)) == (len(feed), reposts)
    assert len({one.id for one in found}) == len(feed)
    assert all(one.created_at for one in found)
    texts = [one.text for one in found if not one.is_retweet]
    assert all(texts)
    cut = [text for text in texts if "..." in text and "bsky.app" not in text and "christopherk" in text.replace("https://", "")]
    assert not [text for text in cut if "github.com/christopherk..." in text]
    random.Random(1).shuffle(feed)
    assert len(tweets(feed, did)[0]) == len(found), "no order is trusted"


@pytest.mark.shared
async def test_the_recorded_exchanges(bluesky: Bluesky, world: BlueskyWorld, stub: Stub) -> None:
    if not RECORDED.is_dir():
        pytest.skip("../shared is not here")
    account, feed = (
        json.loads((RECORDED / f"get_{name}.json").read_text("utf-8"))["response"]["body"] for name in ("profile", "author_feed")
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
async def test_the_recorded_errors(bluesky: Bluesky, stub: Stub, case: str, error: type[Exception]) -> None:
    if not RECORDED.is_dir():
        pytest.skip("../shared is not here")
    found = next(one for one in json.loads((RECORDED / "errors.json").read_text("utf-8")) if one["case"] == case)
    stub.always(Reply(found["body"], found["status"]))
    with pytest.raises(error):
        await bluesky.profile("heron.bsky.social")
