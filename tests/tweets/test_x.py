"""X: its recorded answers, its refusals told apart, and what becomes of odd ones. What all sources share is in tests/contracts."""

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import Missing, NoAccess, NotNow, SourceDown, SourceError
from bot.tweets.source import Page, Profile, Tweet
from bot.tweets.web import Answer
from bot.tweets.x import X
from tests.clock import ManualClock
from tests.contracts.sources.stub import Reply
from tests.contracts.sources.x import TOKEN
from tests.tweets.xscene import HERON, NOW, USER, Json, Replies, at_x, post, problem


async def page_of(*data: object, since: str | None = None, cursor: str | None = None, **meta: Any) -> Page:
    said: Json = {"result_count": len(data), **meta}
    reply = Reply({"data": list(data), "meta": said})
    async with at_x(Replies(posts=reply)) as (x, _):
        return await x.page(HERON, since=since, cursor=cursor)


async def tweet_of(text: str, **more: object) -> Tweet:
    (tweet,) = (await page_of(post(7, text, **more))).tweets
    return tweet


# Recorded answers.


def recorded(shared: Path, name: str) -> tuple[Reply, Json]:
    (exchange,) = json.loads((shared / "data/api_v2/tweepy_recorded" / f"{name}.json").read_text("utf-8"))
    response = exchange["response"]
    kept = {key: value for key, value in response["headers"].items() if key.lower() not in ("content-encoding", "date")}
    return Reply(response["body"], response["status"], kept), response["body"]


@pytest.mark.shared
async def test_the_recorded_exchanges(shared: Path) -> None:
    user, body = recorded(shared, "test_asyncclient_get_user")
    posts, timeline = recorded(shared, "test_asyncclient_get_users_tweets")
    async with at_x(Replies(user, posts)) as (x, stub):
        profile = await x.profile("twitter")
        page = await x.page(profile)
        assert [asked.path for asked in stub.asked] == ["/2/users/by/username/twitter", "/2/users/783214/tweets"]
    assert profile == Profile(handle=body["data"]["username"], name=body["data"]["name"], id=body["data"]["id"])
    assert [(tweet.id, tweet.text) for tweet in page.tweets] == [(one["id"], one["text"]) for one in timeline["data"]]
    assert (page.cursor, page.read) == (timeline["meta"]["next_token"], 2), "two posts, and more to come"


@pytest.mark.shared
@pytest.mark.parametrize("name", ["timeline__timeline_tweets", "timeline__timeline_mentions"])
async def test_the_recorded_timelines(shared: Path, name: str) -> None:
    body = json.loads((shared / f"data/api_v2/pytwitter_testdata/{name}.json").read_text("utf-8"))
    async with at_x(Replies(posts=Reply(body))) as (x, _):
        page = await x.page(HERON)
    assert [(tweet.id, tweet.text) for tweet in page.tweets] == [(one["id"], one["text"]) for one in body["data"]]
    assert [f"{tweet.created_at:%Y-%m-%dT%H:%M:%S.000Z}" for tweet in page.tweets] == [one["created_at"] for one in body["data"]]
    assert page.cursor == body["meta"]["next_token"]


@pytest.mark.shared
async def test_the_recorded_user_objects(shared: Path) -> None:
    folder = shared / "data/api_v2/pytwitter_testdata"
    user = json.loads((folder / "models__user.json").read_text("utf-8"))
    async with at_x(Replies(user=Reply({"data": user}))) as (x, _):
        profile = await x.profile(user["username"])
    assert profile.posts == user["public_metrics"]["tweet_count"]
    assert profile.avatar_url == user["profile_image_url"].replace("_normal.", "_400x400.")


# Profiles.


@pytest.mark.parametrize("username", ["egret", "heron2", "herοn"])
async def test_an_account_that_has_another_name_now_is_not_read(username: str) -> None:
    async with at_x(Replies(user=Reply({"data": USER | {"username": username}}))) as (x, _):
        with pytest.raises(Missing):
            await x.profile("heron")


@pytest.mark.parametrize(
    "change",
    [{"id": None}, {"id": "seven"}, {"id": True}, {"id": "1" * 5000}, {"username": None}, {"username": ""}, {"username": 7}],
    ids=str,
)
async def test_a_profile_that_is_none(change: Json) -> None:
    async with at_x(Replies(user=Reply({"data": USER | change}))) as (x, _):
        with pytest.raises(SourceDown):
            await x.profile("heron")


@pytest.mark.parametrize(
    "change",
    [
        {"name": None},
        {"public_metrics": []},
        {"public_metrics": {"tweet_count": "many"}},
        {"profile_image_url": 7},
        {"profile_image_url": "http://a/b.png"},
    ],
    ids=str,
)
async def test_a_profile_of_which_parts_are_missing(change: Json) -> None:
    async with at_x(Replies(user=Reply({"data": USER | change}))) as (x, _):
        profile = await x.profile("heron")
    assert (profile.handle, profile.id, profile.avatar_url, profile.posts) == ("heron", "783214", None, None)


@pytest.mark.parametrize("token", ["", "  ", "two words", "a\nHost: evil", "schlüssel"])
async def test_without_a_usable_token_nothing_is_asked(token: str) -> None:
    async with at_x(Replies(), token=token) as (x, stub):
        with pytest.raises(NoAccess, match="X_BEARER_TOKEN"):
            await x.profile("heron")
        assert stub.asked == []


async def test_a_token_may_have_a_line_end_behind_it() -> None:
    async with at_x(Replies(), token=f" {TOKEN}\n") as (x, stub):
        await x.profile("heron")
    assert stub.asked[0].headers["authorization"] == f"Bearer {TOKEN}"


@pytest.mark.fault(34)
async def test_the_token_is_in_no_log_and_no_error(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> None:
    """X's token stands in no log line of tweepy's or ours, at whatever level, and in no error."""
    caplog.set_level(logging.DEBUG)
    reply = Reply(problem("Forbidden", f"not with Bearer {TOKEN}"[:8]), 403)
    async with at_x(Replies(posts=reply)) as (x, _):
        profile = await x.profile("heron")
        with pytest.raises(NoAccess) as caught:
            await x.page(profile)
    shown = caplog.text + "".join(capsys.readouterr()) + repr(caught.value)
    assert "Making API request" in shown, "tweepy was to be heard"
    assert TOKEN not in shown


def test_tweepy_is_not_loaded_with_the_module() -> None:
    """Loading it takes a quarter of a second, in which the bot would answer nobody."""
    program = "import sys, bot.tweets.x; sys.exit('tweepy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# Posts.


async def test_a_long_post_is_whole() -> None:
    whole = "A long story about fish. " * 40
    tweet = await tweet_of(whole[:270] + "…", note_tweet={"text": whole})
    assert tweet.text == whole
    assert not tweet.truncated


@pytest.mark.parametrize("note", [None, {}, {"text": ""}, {"text": None}, [], "long"], ids=str)
async def test_a_post_without_a_longer_text(note: object) -> None:
    assert (await tweet_of("Fish.", note_tweet=note)).text == "Fish."


async def test_the_text_is_as_x_has_it() -> None:
    text = "Fish &amp; chips &lt;3 https://t.co/abcdefghij\n\n魚 🐟 \U0001f469‍\U0001f680"
    assert (await tweet_of(text)).text == text


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("RT @egret: Frogs.", {}, True),
        ("Frogs.", {"referenced_tweets": [{"type": "retweeted", "id": "5"}]}, True),
        ("Frogs.", {"author_id": "99"}, True),
        ("Frogs!", {"author_id": "783214"}, False),
        ("Frogs!", {"referenced_tweets": [{"type": "quoted", "id": "5"}, {"type": "replied_to", "id": "6"}]}, False),
        ("Frogs!", {"referenced_tweets": ["retweeted", None], "author_id": None}, False),
    ],
)
async def test_somebody_elses_words(text: str, more: Json, expected: bool) -> None:
    assert (await tweet_of(text, **more)).is_retweet is expected


@pytest.mark.parametrize(
    ("text", "to", "expected"),
    [
        ("@egret @Frog_1 you are right", "5", "you are right"),
        ("@egret\nlook at @frog", "5", "look at @frog"),
        ("@egret is a bird I know", None, "@egret is a bird I know"),
        ("@egret is a bird I know", "783214", "@egret is a bird I know"),
        ("I know @egret", "5", "I know @egret"),
        ("@egret", "5", "@egret"),
    ],
)
async def test_the_names_before_an_answer_are_not_the_persons_words(text: str, to: str | None, expected: str) -> None:
    assert (await tweet_of(text, in_reply_to_user_id=to)).text == expected
    long = await tweet_of(text[:3], in_reply_to_user_id=to, note_tweet={"text": text})
    assert long.text == expected


async def test_of_an_edited_post_the_last_version_stays() -> None:
    versions = ["7", "8", "9"]
    page = await page_of(*(post(number, f"Version {number}", edit_history_tweet_ids=versions) for number in (9, 8, 7)), post(5))
    assert [tweet.id for tweet in page.tweets] == ["9", "5"]
    assert page.read == 4


async def test_a_post_that_comes_twice_counts_once() -> None:
    page = await page_of(post(7), post(7, "Fish, again."), post(6))
    assert [tweet.text for tweet in page.tweets] == ["Fish.", "Fish."]


@pytest.mark.parametrize(
    "odd",
    [
        None,
        7,
        "post",
        [],
        {},
        {"id": "9"},
        {"text": "no id"},
        {"id": None, "text": "?"},
        {"id": "x9", "text": "?"},
        {"id": "9", "text": None},
        post(9, "a" * 30_001),
    ],
    ids=lambda odd: str(odd)[:30],
)
async def test_a_post_that_is_none_is_passed_over(odd: object) -> None:
    page = await page_of(post(10), odd, post(8), since="5", next_token="b1")
    assert ([tweet.id for tweet in page.tweets], page.cursor) == (["10", "8"], "b1")
    assert (await page_of(odd, next_token="b1")).cursor == "b1"
    assert page.read == 3, "X may have charged for it"


@pytest.mark.parametrize("moment", [None, 7, "", "yesterday", "2026-99-99T00:00:00Z"])
async def test_a_post_without_a_time(moment: object) -> None:
    assert (await tweet_of("Fish.", created_at=moment)).created_at is None


async def test_halves_of_letters_are_replaced() -> None:
    body = b'{"data": [{"id": "7", "text": "\\ud83d\\udc1f and \\uD83D alone"}], "meta": {"result_count": 1}}'
    async with at_x(Replies(posts=Reply(body))) as (x, _):
        (tweet,) = (await x.page(HERON)).tweets
    assert tweet.text == "\U0001f41f and � alone"
    assert tweet.text.encode()


async def test_a_number_may_stand_for_a_text() -> None:
    page = await page_of({"id": 9007199254740993, "text": "Fish."}, next_token="b1")
    assert page.tweets[0].id == "9007199254740993"


# Pages.


@pytest.mark.parametrize("token", [None, "", 7, ["a"]])
async def test_the_last_page(token: object) -> None:
    assert (await page_of(post(7), next_token=token)).cursor is None
    async with at_x(Replies(posts=Reply({"data": [post(7)]}))) as (x, _):
        assert (await x.page(HERON)).cursor is None


async def test_an_empty_page_may_have_a_next_one() -> None:
    assert (await page_of(next_token="b1")).cursor == "b1"
    async with at_x(Replies(posts=Reply({"meta": {"result_count": 0, "next_token": "b1"}}))) as (x, _):
        page = await x.page(HERON)
    assert (page.tweets, page.cursor, page.read) == ((), "b1", 0)


async def test_a_page_that_leads_to_itself_is_the_last() -> None:
    assert (await page_of(post(7), cursor="b1", next_token="b1")).cursor is None


@pytest.mark.parametrize("body", [{"meta": {"result_count": 5}}, {"meta": {}}, {"data": None}, {"data": {}, "meta": {"result_count": 1}}])
async def test_a_page_whose_posts_are_missing_is_not_taken_for_the_end(body: Json) -> None:
    async with at_x(Replies(posts=Reply(body))) as (x, _):
        with pytest.raises(SourceDown):
            await x.page(HERON)


async def test_a_server_that_does_not_mind_since_costs_one_page() -> None:
    page = await page_of(post(1002), post(1001), post(1000), post(999), since="1000", next_token="b1")
    assert [tweet.id for tweet in page.tweets] == ["1002", "1001"]
    assert page.cursor is None
    assert page.read == 4


async def test_ids_are_compared_as_numbers() -> None:
    assert [tweet.id for tweet in (await page_of(post(1000), since="999")).tweets] == ["1000"]


async def test_what_is_asked_for() -> None:
    async with at_x(Replies()) as (x, stub):
        await x.page(HERON, cursor="b1", since="77")
        await x.page(HERON, since="at://elsewhere/5")
    query = stub.asked[0].query
    assert (query["max_results"], query["pagination_token"], query["since_id"]) == ("100", "b1", "77")
    assert {"note_tweet", "referenced_tweets", "created_at"} <= set(query["tweet.fields"].split(","))
    assert "exclude" not in query, "retweets are counted"
    assert "since_id" not in stub.asked[1].query, "X refuses the ids of others"


# Whatever comes.


class AnyWeb:
    """Gives one answer to everything."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    async def get(self, *_: object, **__: object) -> Answer:
        return self.answer

    async def close(self) -> None: ...


WORDS = st.sampled_from(
    ["data", "errors", "meta", "id", "text", "username", "title", "type", "detail", "next_token", "7", "heron", "error"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=5),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300)
@given(body=VALUES | st.binary(max_size=20), status=st.sampled_from([200, 400, 401, 403, 404, 410, 429]), reset=st.text(max_size=8))
def test_any_answer_gives_a_page_or_an_error_with_a_sentence(body: object, status: int, reset: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    x = X(TOKEN, clock=ManualClock(NOW))
    x._web = AnyWeb(Answer(status, "", {"x-rate-limit-reset": reset}, raw))  # type: ignore[assignment]

    async def ask() -> None:
        for asking in (x.profile("heron"), x.page(HERON, since="5")):
            (outcome,) = await asyncio.gather(asking, return_exceptions=True)
            assert isinstance(outcome, Profile | Page | SourceError)
            assert not isinstance(outcome, SourceError) or str(outcome).endswith(".")
            assert not isinstance(outcome, NotNow) or outcome.until is None or outcome.until > NOW

    asyncio.run(ask())
