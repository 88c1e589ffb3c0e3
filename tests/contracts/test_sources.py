"""What every source of accounts promises, tried over real sockets and TLS against servers that answer as theirs do, under their names."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from unittest.mock import AsyncMock

import aiohttp
import pytest

from bot.errors import Declined, Missing, NotNow, Protected, RateLimited, SourceDown, SourceError, Suspended
from bot.tweets.source import Page, Source, Tweet
from bot.tweets.web import Patience
from tests.clock import ManualClock
from tests.contracts.sources.bluesky import BlueskyCase
from tests.contracts.sources.mastodon import MastodonCase
from tests.contracts.sources.stub import Reply, Stub, running
from tests.contracts.sources.world import BEGIN, Account, Case, Post
from tests.contracts.sources.x import XCase

CASES: tuple[Callable[[], Case], ...] = (XCase, BlueskyCase, MastodonCase)
STATES: dict[str, type[SourceError]] = {"protected": Protected, "suspended": Suspended, "declined": Declined}
POSTS = [
    Post(number, f"Post {number} of the heron, who stands in the reeds. 🐦\nNobody moves; 鷺は待つ。", number % 5 == 0)
    for number in range(40, 0, -1)
]
PATIENCE = Patience(total_s=10, tries=3, pause=AsyncMock())

STUMBLES = {
    "HTTP 500": Reply("<h1>500</h1>", 500),
    "HTTP 503": Reply({"error": "over capacity"}, 503),
    "hung up": Reply(wire="hung up"),
    "cut": Reply({"data": ["a" * 1000]}, wire="cut"),
    "no HTTP": Reply(wire="rubbish"),
}
"""What the next try may find mended."""
ODD = {
    "a web page": Reply("<!doctype html><title>Log in</title>"),
    "a web page that is called JSON": Reply("<html></html>", headers={"Content-Type": "application/json"}),
    "a web page that forbids": Reply("<html>Are you human?</html>", 403),
    "a web page that is not there": Reply("<html>Not here</html>", 404),
    "nothing": Reply(b""),
    "no content": Reply(b"", 204),
    "cut JSON": Reply(b'{"data": [{"id": "1", "te', headers={"Content-Type": "application/json"}),
    "a list": Reply([[]]),
    "null": Reply(b"null"),
    "a number": Reply(b"7"),
    "an empty object": Reply({}),
    "data of a wrong kind": Reply({"data": "yes", "feed": 7, "meta": []}),
    "a deep nest": Reply(b"[" * 200_000),
    "no UTF-8": Reply(b'{"data": "\xff\xfe"}'),
    "no gzip": Reply(b"this is not packed", headers={"Content-Encoding": "gzip"}),
    "half a gzip": Reply(gzip.compress(b'{"data": []}' * 50)[:-20], headers={"Content-Encoding": "gzip"}),
    "a packed bomb": Reply(gzip.compress(b"[" * (64 << 20)), headers={"Content-Encoding": "gzip"}),
    "no end": Reply(wire="endless"),
    "elsewhere": Reply(b"", 302, {"Location": "https://evil.example/2/users/by/username/heron"}),
    "elsewhere in the house": Reply(b"", 307, {"Location": "http://127.0.0.1/"}),
    "nowhere": Reply(b"", 301, {"Location": "https://[::1"}),
    "a teapot": Reply({}, 418),
}
"""Answers that no source gives."""


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(request: pytest.FixtureRequest) -> Case:
    made: Case = request.param()
    made.world.accounts[made.handle] = Account(made.handle, posts=list(POSTS))
    return made


@pytest.fixture
async def stub(case: Case) -> AsyncIterator[Stub]:
    async with running(case.world) as made:
        yield made


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(BEGIN)


Make = Callable[..., Source]


@pytest.fixture
async def make(case: Case, stub: Stub, clock: ManualClock) -> AsyncIterator[Make]:
    """Makes a source, as a bot that has just started has it."""
    made: list[Source] = []

    def start(patience: Patience = PATIENCE) -> Source:
        made.append(case.source(stub.connector(), clock=clock, patience=patience))
        return made[-1]

    yield start
    for source in made:
        await source.close()


@pytest.fixture
async def source(make: Make) -> Source:
    return make()


async def pages(source: Source, handle: str, *, cursor: str | None = None, since: str | None = None) -> list[Page]:
    """All that the source has, and no end of pages is an error."""
    profile, found = await source.profile(handle), list[Page]()
    while not found or cursor is not None:
        found.append(await source.page(profile, cursor=cursor, since=since))
        cursor = found[-1].cursor
        assert len(found) < 100, "the pages have no end"
    return found


def tweets(found: list[Page]) -> list[Tweet]:
    return [tweet for page in found for tweet in page.tweets]


def check(found: list[Tweet], posts: list[Post]) -> None:
    """These posts, and no others."""
    assert [tweet.created_at for tweet in found] == [post.at for post in posts]
    assert [tweet.is_retweet for tweet in found] == [post.repost for post in posts]
    own = [tweet.text for tweet in found if not tweet.is_retweet]
    assert own == [post.text for post in posts if not post.repost]
    assert len({tweet.id for tweet in found}) == len(posts)


# What is there.


async def test_who_the_account_is(source: Source, case: Case) -> None:
    profile = await source.profile(case.handle)
    assert profile.handle is not None
    assert profile.handle.lower() == case.handle.lower()
    assert (profile.name, profile.posts) == ("Grey Heron", len(POSTS))
    assert profile.id
    assert (profile.avatar_url or "").startswith("https://")


async def test_the_handle_may_come_in_small_letters(source: Source, case: Case) -> None:
    assert (await source.profile(case.handle.lower())).id


async def test_all_posts_come_newest_first_and_once(source: Source, case: Case) -> None:
    found = await pages(source, case.handle)
    check(tweets(found), POSTS)
    assert sum(page.read for page in found) == len(POSTS)


async def test_a_short_page_and_an_empty_one_are_not_the_last(source: Source, case: Case) -> None:
    case.world.pages = (3, 0, 0, 7, 1, 0, 5)
    found = await pages(source, case.handle)
    check(tweets(found), POSTS)
    assert len(found) > 7


async def test_a_page_may_be_asked_for_by_a_bot_that_has_just_started(make: Make, case: Case) -> None:
    case.world.pages = (7,)
    first = make()
    profile = await first.profile(case.handle)
    cursor, found = None, list[Tweet]()
    for _ in range(3):
        page = await first.page(profile, cursor=cursor)
        found += page.tweets
        cursor = page.cursor
    check(found + tweets(await pages(make(), case.handle, cursor=cursor)), POSTS)


async def test_what_is_newer_than_a_post(source: Source, case: Case) -> None:
    case.world.pages = (7,)
    known = tweets(await pages(source, case.handle))[20]
    check(tweets(await pages(source, case.handle, since=known.id)), POSTS[:20])


async def test_nothing_newer(source: Source, case: Case) -> None:
    newest = tweets(await pages(source, case.handle))[0]
    assert tweets(await pages(source, case.handle, since=newest.id)) == []


async def test_an_account_without_posts(source: Source, case: Case) -> None:
    case.world.accounts[case.handle].posts.clear()
    (page,) = await pages(source, case.handle)
    assert (page.tweets, page.cursor, page.read) == ((), None, 0)


# Who may not be read.


async def test_an_unknown_account(source: Source) -> None:
    with pytest.raises(Missing):
        await source.profile("nobody_here")


@pytest.mark.parametrize("handle", ["", " ", "../../1/secrets", "a/b", "a?b=c", "a#b", "a%2Fb", "@", "a\r\nb", "名前", "x" * 500])
async def test_a_name_that_no_account_can_have_is_asked_of_nobody(source: Source, stub: Stub, handle: str) -> None:
    with pytest.raises(Missing):
        await source.profile(handle)
    assert stub.asked == []


@pytest.mark.parametrize("later", [False, True], ids=["from the first", "between two pages"])
@pytest.mark.parametrize("state", STATES)
async def test_an_account_that_is_closed(source: Source, case: Case, state: str, *, later: bool) -> None:
    if state not in case.states:
        pytest.skip(f"{case.name} has no such state")
    account = case.world.accounts[case.handle]
    account.state, account.appears, case.world.pages = state, 1 if later else None, (7,)  # type: ignore[assignment]
    with pytest.raises(STATES[state]) as caught:
        await pages(source, case.handle)
    assert case.handle.lower() in str(caught.value).lower()


# Limits and faults.


@pytest.mark.fault(22)
async def test_a_limit_says_when_it_ends(source: Source, stub: Stub, case: Case) -> None:
    """A source that has had enough requests is left alone until the moment that it names; nothing is asked meanwhile."""
    end = BEGIN + timedelta(minutes=14, seconds=7)
    stub.always(case.limited(end))
    with pytest.raises(RateLimited, match=f"{end:%H:%M}") as caught:
        await source.profile(case.handle)
    assert caught.value.until == end
    assert len(stub.asked) == 1


@pytest.mark.fault(22)
@pytest.mark.parametrize("kept", ["none", "no time", "past", "absurd"])
async def test_a_limit_without_a_usable_end(source: Source, stub: Stub, case: Case, kept: str) -> None:
    """A limit without an end that can be believed is a limit all the same, and is asked about once, not in a loop."""
    reply = case.limited(None if kept == "none" else BEGIN + {"absurd": timedelta(days=9000)}.get(kept, timedelta(minutes=-1)))
    if kept == "no time":
        reply = Reply(reply.body, reply.status, {name: "soon" if "eset" in name else value for name, value in reply.headers.items()})
    stub.always(reply)
    with pytest.raises(RateLimited) as caught:
        await source.profile(case.handle)
    assert caught.value.until is None
    assert len(stub.asked) == 1


@pytest.mark.fault(22)
async def test_a_limit_that_is_told_by_a_web_page(source: Source, stub: Stub, case: Case) -> None:
    """A limit that a gate before the source tells with a web page is a limit too."""
    stub.always(Reply("<h1>Slow down</h1>", 429))
    with pytest.raises(RateLimited):
        await source.profile(case.handle)
    assert len(stub.asked) == 1


@pytest.mark.fault(22)
@pytest.mark.parametrize("stumble", STUMBLES)
async def test_a_source_that_stumbles_is_asked_again(source: Source, stub: Stub, case: Case, stumble: str) -> None:
    """A source that fails once, or cuts the connection, is asked again, and no post is lost or read twice."""
    case.world.pages = (7,)
    profile = await source.profile(case.handle)
    found, cursor = list[Tweet](), None
    while not found or cursor is not None:
        stub.instead(STUMBLES[stumble])
        page = await source.page(profile, cursor=cursor)
        found += page.tweets
        cursor = page.cursor
    check(found, POSTS)


@pytest.mark.fault(22)
@pytest.mark.parametrize("stumble", STUMBLES)
async def test_a_source_that_stays_down(source: Source, stub: Stub, case: Case, stumble: str) -> None:
    """A source that goes on failing is down after three tries, and is told so in one sentence."""
    profile = await source.profile(case.handle)
    stub.asked.clear()
    stub.always(STUMBLES[stumble])
    with pytest.raises(SourceDown, match="3 times in a row"):
        await source.page(profile)
    assert 3 <= len(stub.asked) <= 6  # aiohttp asks once more by itself where a connection was closed
    stub.always(None)
    assert (await source.page(profile)).tweets, "it works again when the source does"


@pytest.mark.fault(22)
@pytest.mark.parametrize("wire", ["silent", "stalled"])
async def test_a_source_that_falls_silent(make: Make, stub: Stub, case: Case, wire: str) -> None:
    """A source that does not answer, or stops half-way, is given up after a time."""
    source = make(Patience(total_s=0.3, tries=2, pause=AsyncMock()))
    stub.always(Reply({"data": ["a" * 1000]}, wire=wire))  # type: ignore[arg-type]
    with pytest.raises(SourceDown, match=r"0\.3 seconds"):
        await source.profile(case.handle)


@pytest.mark.fault(22)
@pytest.mark.parametrize("where", ["profile", "page"])
@pytest.mark.parametrize("odd", ODD)
async def test_an_answer_that_no_source_gives(source: Source, stub: Stub, case: Case, odd: str, where: str) -> None:
    """Whatever comes in place of an answer (a web page, rubbish, a bomb, an address elsewhere) counts as the source being down."""
    profile = await source.profile(case.handle)
    stub.always(ODD[odd])
    with pytest.raises(SourceDown) as caught:
        await (source.page(profile) if where == "page" else source.profile(case.handle))
    check_sentence(caught.value, case)


def check_sentence(error: SourceError, case: Case) -> None:
    """One sentence that names the source and shows nothing of its insides."""
    said = str(error)
    assert case.name in said
    assert said.endswith(".")
    assert len(said) < 300
    assert not any(mark in said for mark in ("<", "{", "Traceback", "\n"))


async def test_every_error_has_a_sentence_of_its_own(source: Source, stub: Stub, case: Case) -> None:
    said: set[str] = set()

    async def hear(error: type[SourceError]) -> None:
        with pytest.raises(error) as caught:
            await source.profile(case.handle)
        check_sentence(caught.value, case)
        assert str(caught.value) not in said
        said.add(str(caught.value))

    account = case.world.accounts[case.handle]
    for state in sorted(case.states):
        account.state = state  # type: ignore[assignment]
        await hear(STATES[state])
    del case.world.accounts[case.handle]
    await hear(Missing)
    for reply in (case.limited(None), case.limited(BEGIN + timedelta(hours=1)), Reply(b"", 500), Reply("<html>")):
        stub.always(reply)
        await hear(NotNow)


# The way there.


async def test_only_the_source_is_asked(source: Source, stub: Stub, case: Case) -> None:
    """The stub's names are the only ones that lead anywhere, and no other was tried."""
    stub.instead(ODD["elsewhere"], ODD["elsewhere in the house"])
    for _ in range(2):
        with pytest.raises(SourceDown):
            await source.profile(case.handle)
    await pages(source, case.handle)
    assert {asked.host for asked in stub.asked} <= set(case.world.hosts)
    assert stub.names.refused == []


async def test_every_other_name_is_refused(stub: Stub) -> None:
    async with aiohttp.ClientSession(connector=stub.connector()) as session:
        with pytest.raises(aiohttp.ClientConnectorDNSError):
            await session.get("https://example.org/")
    assert stub.names.refused == ["example.org:443"]


async def test_a_server_that_cannot_prove_its_name_is_not_believed(stub: Stub, case: Case, clock: ManualClock) -> None:
    source = case.source(aiohttp.TCPConnector(resolver=stub.names), clock=clock, patience=PATIENCE)
    with pytest.raises(SourceDown, match="Certificate"):
        await source.profile(case.handle)
    await source.close()
    assert stub.asked == []


async def test_a_request_may_be_given_up(source: Source, stub: Stub, case: Case) -> None:
    profile = await source.profile(case.handle)
    stub.asked.clear()
    stub.instead(Reply(wire="silent"))
    asking = asyncio.create_task(source.page(profile))
    while not stub.asked:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert (await source.page(profile)).tweets


async def test_closing_closes_the_connections(case: Case, stub: Stub, clock: ManualClock) -> None:
    for used in (False, True):
        connector = stub.connector()
        source = case.source(connector, clock=clock, patience=PATIENCE)
        if used:
            await source.profile(case.handle)
        await source.close()
        await source.close()
        assert connector.closed
