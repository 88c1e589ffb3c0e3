"""Bluesky's odd feeds: what is a person's own post, what its text is, and what is newer."""

import json
import random
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.tweets.cleaning import clean_text, unescape
from bot.tweets.facets import with_links
from bot.tweets.feed import tweets
from tests.contracts.sources.bluesky import item, key_of
from tests.tweets.blueskyfeed import AUTHOR, DID, OTHER, Json, at, link, own


def texts(*items: object, since: str | None = None, is_last: bool = True) -> list[str]:
    return [tweet.text for tweet in tweets(list(items), DID, since=since, is_last=is_last)[0]]


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


# The recorded answers.


@pytest.mark.shared
def test_the_recorded_feed(shared: Path) -> None:
    feed = json.loads((shared / "data/bluesky/get_author_feed.json").read_text("utf-8"))["response"]["body"]["feed"]
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
