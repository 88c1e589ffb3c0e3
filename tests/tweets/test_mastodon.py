"""Mastodon's odd answers: what everybody may read of an account's own words, as plain text, and on which servers."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from bot.errors import Declined, Missing, NoAccess, RateLimited, SourceDown, Suspended
from bot.tweets.cleaning import clean_text, unescape
from bot.tweets.markup import MAX_MARKS, to_text
from bot.tweets.mastodon import Mastodon
from bot.tweets.statuses import tweets
from bot.tweets.web import Patience
from tests.clock import ManualClock
from tests.contracts.sources.mastodon import HOST, MastodonWorld, identity_of, ok, paragraphs, refused
from tests.contracts.sources.stub import Asked, Reply, Stub, running
from tests.contracts.sources.world import BEGIN, Account, Post

Json = dict[str, Any]
HERON = Account(f"heron@{HOST}", posts=[Post(number, f"The reeds are loud today, {number}.") for number in range(50, 0, -1)])
ME = identity_of(HERON)
ACCOUNT: Json = {"id": ME, "username": "heron", "acct": "heron", "display_name": "Grey Heron", "note": "<p>Reeds.</p>"}


def status(content: object = "<p>Own words here</p>", number: int = 1, **more: object) -> Json:
    return {
        "id": str(number),
        "created_at": "2026-01-01T00:00:00.000Z",
        "visibility": "public",
        "spoiler_text": "",
        "content": content,
        "account": {"id": ME},
        "reblog": None,
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        **more,
    }


def texts(*statuses: Json) -> list[str]:
    return [tweet.text for tweet in tweets(list(statuses), ME)]


# Whose words they are, and for whom.


@pytest.mark.parametrize("visibility", ["private", "direct", "local", "mutual", "", None, 7])
def test_what_is_not_for_everybody_is_never_read(visibility: object) -> None:
    assert texts(status("<p>for friends</p>", visibility=visibility), status(number=2, visibility="unlisted")) == ["Own words here"]
    without = status("<p>for whom?</p>")
    del without["visibility"]
    assert texts(without) == []


def test_a_boost_is_counted_and_its_words_are_not_kept() -> None:
    (found,) = tweets([status("", reblog=status("<p>Theirs</p>", 7, account={"id": "7"}))], ME)
    assert (found.text, found.is_retweet, found.id) == ("", True, "1")
    assert tweets([status("", reblog=status("<p>Mine, again</p>", 7))], ME)[0].is_retweet
    assert tweets([status("<p>Theirs</p>", account={"id": "7"})], ME)[0].text == ""


@pytest.mark.parametrize("warning", ["food", "  politics "])
def test_a_content_warning_is_respected(warning: str) -> None:
    assert texts(status(spoiler_text=warning)) == []
    assert texts(status(spoiler_text=" ", sensitive=True), status(number=2, spoiler_text=None)) == ["Own words here"] * 2


def test_an_answer_begins_with_its_own_words() -> None:
    mention = '<span class="h-card" translate="no"><a href="https://a.example/@wren" class="u-url mention">@<span>wren</span></a></span>'
    content = f"<p>{mention} @gone.bird@far.example<br />I agree with {mention}!</p>"
    assert texts(status(content, in_reply_to_id="3")) == ["I agree with @wren!"]
    assert texts(status(content, in_reply_to_account_id="3")) == ["I agree with @wren!"]
    assert texts(status(f"<p>{mention} and I built a nest</p>")) == ["@wren and I built a nest"]
    assert texts(status(f"<p>{mention}</p>", in_reply_to_id="3")) == ["@wren"]


def test_a_status_may_lack_almost_everything() -> None:
    found = tweets(
        [{"visibility": "public"}, status(None, 2, language=None, poll={"options": [{"title": "yes"}]}), status(number=3, id=4)], ME
    )
    assert [(one.id, one.text) for one in found] == [(None, ""), ("2", ""), ("4", "Own words here")]
    assert (
        texts(status(created_at="yesterday"), status(number=2, emojis="x", mentions=7, quote={"state": "accepted"}))
        == ["Own words here"] * 2
    )


def test_a_post_that_comes_twice_is_taken_once_and_an_endless_one_not_at_all() -> None:
    assert texts(status(), status(), status(f"<p>{'x' * 30_001}</p>", 2)) == ["Own words here"]


# What the text is.

LINK = (
    '<a href="https://heron.example/pond/frogs?a=1&amp;b=2" rel="nofollow"><span class="invisible">https://</span>'
    '<span class="ellipsis">heron.example/pond/f</span><span class="invisible">rogs?a=1&amp;b=2</span></a>'
)


@pytest.mark.parametrize(
    ("html", "plain"),
    [
        ("<p>one<br>two<br/>three</p><p>four</p>", "one\ntwo\nthree\n\n\n\nfour"),
        (f"<p>See {LINK}, all</p>", "See https://heron.example/pond/frogs?a=1&b=2, all"),
        ('<p><a href="https://heron.example/book">my book</a> is out</p>', "my book is out"),
        ('<a href="https://www.heron.example/">heron.example</a>', "https://www.heron.example/"),
        ('<a href="https://t.example/tags/birds" class="mention hashtag" rel="tag">#<span>birds</span></a>', "#birds"),
        ('<a class="u-url mention" href="https://a.example/@wren">@wren@a.example</a>', "@wren@a.example"),
        ("<p>&lt;b&gt; &amp;amp; &quot;x&quot; &#39;y&#39; &hearts;</p>", "<b> &amp; \"x\" 'y' ♥"),
        ('<p class="quote-inline">RE: <a href="https://a.example/1">https://a.example/1</a></p><p>So true</p>', "So true"),
        ('<p>So true<span class="quote-inline"><br/><br/>RE: <a href="https://a.example/1">x</a></span></p>', "So true"),
        ("<p>well :blobcat: then :notmine:</p>", "well  then :notmine:"),
        ('<p>hi <img class="emoji" alt=":blobcat:" src="x"> <img alt="🐦"> <img src="y"></p>', "hi  🐦"),
        ("<ul><li>one</li><li>two</li></ul>end", "one\ntwo\n\n\nend"),
        ("<blockquote>said</blockquote>me", "said\n\nme"),
        ("<script>alert(1)</script><style>p{}</style><!-- no -->words<template>x</template>", "words"),
        ("a\n   b\t c", "a b c"),
        ("<b>un<i>closed", "unclosed"),
        ("</p></div>stray", "stray"),
        ("<a>no target</a> <a href=''>empty</a> <a href='javascript:x'>https://shown.example</a>", "no target empty https://shown.example"),
        ("https://heron.example", "https://heron.example"),
        (".", "."),
        ("", ""),
        ("<![foo", ""),
        ("<p>" * (MAX_MARKS + 1) + "deep", ""),
    ],
)
def test_html_becomes_plain_text(html: str, plain: str) -> None:
    assert to_text(html, emoji=["blobcat"]) == plain


@given(st.text(alphabet="<>/pa b=\"'&;#![-\n@:", max_size=60))
def test_no_html_breaks_the_reader(html: str) -> None:
    assert isinstance(to_text(html, emoji=["b"]), str)


@example("AT&T &lt;b&gt; &amp;amp; &copy")
@given(st.text(max_size=40).filter(lambda text: text.isprintable() or "\n" in text))
def test_what_a_person_writes_is_learnt_as_it_was_written(text: str) -> None:
    (found,) = texts(status(paragraphs(text)))
    assert "".join(unescape(found).split()) == "".join(text.split())


def test_a_link_is_not_learnt() -> None:
    (text,) = texts(status(f"<p>Three herons at {LINK}</p>"))
    assert clean_text(text) == ("Three herons", False)


# The account, over the wire.


@pytest.fixture
def world() -> MastodonWorld:
    made = MastodonWorld()
    made.accounts["heron"] = Account(HERON.handle, posts=list(HERON.posts))
    return made


@pytest.fixture
async def mastodon(stub: Stub) -> AsyncIterator[Mastodon]:
    source = Mastodon(frozenset({HOST}), clock=ManualClock(BEGIN), connector=stub.connector(), patience=Patience(pause=AsyncMock()))
    yield source
    await source.close()


@pytest.mark.parametrize("handle", ["heron@mastodon.social", "heron@127.0.0.1", "heron@fosstodon.org.evil.example"])
async def test_only_servers_that_the_operator_has_named_are_asked(mastodon: Mastodon, stub: Stub, handle: str) -> None:
    with pytest.raises(NoAccess, match=r"MASTODON_INSTANCES.*outbox\.json"):
        await mastodon.profile(handle)
    assert stub.asked == []
    assert stub.names.refused == []


@pytest.mark.parametrize(
    "handle", ["heron", "heron@", "@fosstodon.org", "he/ron@fosstodon.org", "heron@fosstodon.org/x", "a b@fosstodon.org"]
)
async def test_a_name_without_a_server_is_asked_of_nobody(mastodon: Mastodon, stub: Stub, handle: str) -> None:
    with pytest.raises(Missing):
        await mastodon.profile(handle)
    assert stub.asked == []


NOTES: list[Json] = [
    {"note": "<p>Poet. <a href='x' class='mention hashtag'>#<span>nobot</span></a></p>"},
    {"note": "<p>Please: no<br>AI training</p>"},
    {"note": None, "fields": [{"name": "Rules", "value": "<p>#NoBots, ever</p>"}, 7]},
    {"display_name": "Heron #NoAI", "fields": "x"},
    {"note": "<p>Posts #not4AI, thanks</p>"},
]


@pytest.mark.parametrize("more", NOTES)
async def test_a_profile_that_says_no_is_honoured(mastodon: Mastodon, stub: Stub, more: Json) -> None:
    stub.instead(ok(ACCOUNT | more))
    with pytest.raises(Declined, match=rf"@heron@{HOST} says “"):
        await mastodon.profile(HERON.handle)


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (refused(404, "Record not found"), Missing, "no Mastodon account"),
        (Reply(b"", 410), Suspended, "has closed"),
        (refused(410, "Gone"), Suspended, "has closed"),
        (ok(ACCOUNT | {"suspended": True, "note": ""}), Suspended, "has closed"),
        (refused(401, "This method requires an authenticated user"), NoAccess, "signed in"),
        (refused(422, "This API requires an authenticated user"), NoAccess, "signed in"),
        (refused(403, "This action is not allowed"), NoAccess, "signed in"),
        (Reply("<h1>Are you human?</h1>", 403), SourceDown, "HTTP 403"),
        (ok(ACCOUNT | {"username": "somebody"}), Missing, "heron"),
        (ok(ACCOUNT | {"acct": "heron@elsewhere.example"}), Missing, "heron"),
        (ok(ACCOUNT | {"id": "../../1"}), SourceDown, "cannot read"),
        (ok(ACCOUNT | {"id": None}), SourceDown, "cannot read"),
        (ok([]), SourceDown, "cannot read"),
        (Reply({"error": "Too many requests"}, 429, {"Retry-After": "90"}), RateLimited, "12:01:30"),
        (Reply({"error": "Too many requests"}, 429, {"x-ratelimit-reset": "2026-01-01T13:05:00.216+01:00"}), RateLimited, "12:05:00"),
    ],
)
async def test_what_refusals_mean(mastodon: Mastodon, stub: Stub, reply: Reply, error: type[Exception], words: str) -> None:
    stub.always(reply)
    with pytest.raises(error, match=words):
        await mastodon.profile(HERON.handle)


@pytest.mark.parametrize(
    "more",
    [
        {"moved": {"id": "9", "acct": "heron@new.example"}},
        {"limited": True},
        {"locked": True, "bot": True},
        {"memorial": True, "noindex": True},
    ],
)
async def test_an_account_that_has_moved_or_is_limited_is_still_read(mastodon: Mastodon, stub: Stub, more: Json) -> None:
    stub.instead(ok(ACCOUNT | {"avatar": "javascript:x", "statuses_count": None} | more))
    profile = await mastodon.profile(HERON.handle)
    assert (profile.handle, profile.name, profile.avatar_url, profile.posts) == (HERON.handle, "Grey Heron", None, None)


def linked(link: str | None, count: int = 40) -> Reply:
    statuses = [status(number=1000 - number) for number in range(count)]
    return ok(statuses, {} if link is None else {"Link": link})


@pytest.mark.parametrize(
    ("link", "count", "cursor"),
    [
        (
            '<https://fosstodon.org/api/v1/accounts/1/statuses?max_id=77>; rel="next", <https://fosstodon.org/x?min_id=9>; rel="prev"',
            20,
            "77",
        ),
        ('<https://fosstodon.org/x?min_id=9>; rel="prev", <https://fosstodon.org/x?a=b,c&max_id=77>; title="x"; rel=next', 20, "77"),
        ('<https://evil.example/steal?max_id=77&token=x>; rel="next"', 20, "77"),
        ('<http://fosstodon.org/x?max_id=77>; REL="last Next"', 20, "77"),
        ('<https://fosstodon.org/x?page=2>; rel="next"', 20, "981"),
        ('<https://[::1>; rel="next"', 20, "981"),
        ('<https://fosstodon.org/x?min_id=9>; rel="prev"', 40, None),
        ('<https://fosstodon.org/x?max_id=77>; rel="nextdoor"', 20, None),
        ("nonsense", 40, None),
        (None, 39, None),
        (None, 40, "961"),
    ],
)
async def test_where_the_next_page_begins(mastodon: Mastodon, stub: Stub, link: str | None, count: int, cursor: str | None) -> None:
    profile = await mastodon.profile(HERON.handle)
    stub.instead(linked(link, count))
    assert (await mastodon.page(profile)).cursor == cursor
    stub.asked.clear()
    await mastodon.page(profile, cursor=cursor)
    assert [(asked.host, asked.query.get("max_id")) for asked in stub.asked] == [(HOST, cursor)]
    assert stub.names.refused == []


async def test_a_server_that_gives_the_same_page_for_ever_ends(mastodon: Mastodon, stub: Stub) -> None:
    profile = await mastodon.profile(HERON.handle)
    stub.instead(linked('<https://fosstodon.org/x?max_id=77>; rel="next"'))
    assert (await mastodon.page(profile, cursor="77")).cursor is None


async def test_a_server_that_does_not_know_since_is_read_no_further_than_needed(mastodon: Mastodon, stub: Stub) -> None:
    profile = await mastodon.profile(HERON.handle)
    stub.instead(linked('<https://fosstodon.org/x?max_id=77>; rel="next"'))
    page = await mastodon.page(profile, since="990")
    assert ([tweet.id for tweet in page.tweets], page.cursor) == ([str(number) for number in range(1000, 990, -1)], None)


@pytest.mark.parametrize("body", [[[]], [7, "x"], {"error": "x"}, "x", {}])
async def test_a_page_that_is_none(mastodon: Mastodon, stub: Stub, body: object) -> None:
    profile = await mastodon.profile(HERON.handle)
    stub.always(ok(body))
    with pytest.raises(SourceDown, match=HOST):
        await mastodon.page(profile)


async def test_odd_things_between_the_posts(mastodon: Mastodon, stub: Stub) -> None:
    profile = await mastodon.profile(HERON.handle)
    stub.instead(ok([7, status(), None, status("<p>secret</p>", 2, visibility="private")]))
    page = await mastodon.page(profile)
    assert ([tweet.text for tweet in page.tweets], page.read) == (["Own words here"], 4)


async def test_a_limit_between_two_pages(mastodon: Mastodon, stub: Stub) -> None:
    profile = await mastodon.profile(HERON.handle)
    first = await mastodon.page(profile)
    stub.instead(Reply({"error": "Too many requests"}, 429, {"x-ratelimit-reset": "2026-01-01T12:04:10.000000Z"}))
    with pytest.raises(RateLimited) as caught:
        await mastodon.page(profile, cursor=first.cursor)
    assert caught.value.until == BEGIN + timedelta(minutes=4, seconds=10)
    second = await mastodon.page(profile, cursor=first.cursor)
    assert len(first.tweets) + len(second.tweets) == 50


# The recorded answers.


@pytest.mark.shared
def test_the_recorded_statuses(shared: Path) -> None:
    pages = json.loads((shared / "data/mastodon/account_statuses_3_pages.json").read_text("utf-8"))
    statuses = [one for page in pages for one in page["response"]["body"]]
    found = tweets(statuses, statuses[0]["account"]["id"])
    assert (len(found), sum(one.is_retweet for one in found)) == (60, 1)
    own = [one.text for one in found if not one.is_retweet]
    assert all(own)
    assert not [text for text in own if "<" in unescape(text) or "&quot;" in text or "…" in text]
    starts = [text for text, one in zip(own, (one for one in statuses if not one["reblog"]), strict=True) if one["in_reply_to_id"]]
    assert not [text for text in starts if text.startswith("@")]


class Recorded:
    """The server as it was recorded: three pages with their headers, and nothing after them."""

    hosts: tuple[str, ...] = (HOST,)

    def __init__(self, folder: Path) -> None:
        self._account = json.loads((folder / "account.json").read_text("utf-8"))["response"]
        pages = json.loads((folder / "account_statuses_3_pages.json").read_text("utf-8"))
        self._pages = {URL(page["request"]["url"]).query.get("max_id"): page["response"] for page in pages}

    def answer(self, asked: Asked) -> Reply:
        found = self._account if asked.path.endswith("/lookup") else self._pages.get(asked.query.get("max_id"))
        if found is None:
            return ok([])
        headers = {name: value for name, value in found["headers"].items() if name not in ("content-encoding", "date")}
        return Reply(found["body"], found["status"], headers)


@pytest.mark.shared
async def test_the_recorded_exchanges(shared: Path) -> None:
    async with running(Recorded(shared / "data/mastodon")) as stub:
        source = Mastodon(frozenset({HOST}), clock=ManualClock(BEGIN), connector=stub.connector())
        profile = await source.profile(f"schochastics@{HOST}")
        pages = [await source.page(profile)]
        while cursor := pages[-1].cursor:
            pages.append(await source.page(profile, cursor=cursor))
        await source.close()
    found = [tweet for page in pages for tweet in page.tweets]
    assert (profile.posts, [page.read for page in pages]) == (280, [20, 20, 20, 0])
    assert (len({tweet.id for tweet in found}), sum(tweet.is_retweet for tweet in found)) == (60, 1)
    assert [tweet.id for tweet in found] == sorted((str(tweet.id) for tweet in found), key=int, reverse=True)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("case", "error"),
    [("suspended_account", Suspended), ("not_found", Missing), ("auth_required", NoAccess), ("rate_limited", RateLimited)],
)
async def test_the_recorded_errors(shared: Path, mastodon: Mastodon, stub: Stub, case: str, error: type[Exception]) -> None:
    found = next(one for one in json.loads((shared / "data/mastodon/errors.json").read_text("utf-8")) if one["case"] == case)
    stub.always(Reply(found.get("body", b""), found["status"]))
    with pytest.raises(error):
        await mastodon.profile(HERON.handle)
