"""X archives in every layout that X has used, with what happens to them on the way."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from bot.errors import BadInput, BrokenArchive
from bot.tweets import longposts
from bot.tweets.files import read_source
from bot.tweets.source import Profile, Tweet
from tests.tweets.builders import PLAIN, account_js, at, manifest_js, month_js, notes_js, tweet, tweets_js, zipped


def read(folder: Path, files: Mapping[str, str | bytes]) -> tuple[Profile, list[Tweet]]:
    path = folder / "archive.zip"
    path.write_bytes(zipped(files))
    profile, tweets = read_source(path)
    return profile, list(tweets)


def texts(folder: Path, files: Mapping[str, str | bytes]) -> list[str]:
    return [one.text for one in read(folder, files)[1]]


def test_current_layout_with_its_manifest(tmp_path: Path) -> None:
    profile, tweets = read(
        tmp_path,
        {
            "data/manifest.js": manifest_js("data/tweets.js", "data/tweets-part1.js"),
            "data/tweets-part1.js": tweets_js([tweet(PLAIN[2], 2)], part=1),
            "data/tweets.js": tweets_js([tweet(PLAIN[0], 0), tweet(PLAIN[1], 1)]),
        },
    )
    assert profile == Profile("wren", "Wren Oddly")
    assert [one.text for one in tweets] == list(PLAIN[:3])
    assert tweets[0] == Tweet(PLAIN[0], id="1000", created_at=at(0))


@pytest.mark.parametrize("root", ["", "twitter-2023-05-01-abc/", "a/b/"])
def test_without_a_manifest_the_parts_are_found_by_name(tmp_path: Path, root: str) -> None:
    files = {f"{root}data/tweets-part{n}.js": tweets_js([tweet(f"{PLAIN[0]} {n}", n)], part=n) for n in range(11, 0, -1)}
    files |= {f"{root}data/tweets.js": tweets_js([tweet(PLAIN[0], 0)]), f"{root}data/account.js": account_js()}
    profile, tweets = read(tmp_path, files)
    assert profile == Profile("wren", "Wren Oddly")
    assert [one.text for one in tweets] == [PLAIN[0], *(f"{PLAIN[0]} {n}" for n in range(1, 12))]


def test_manifest_may_list_what_is_not_there_and_forget_what_is(tmp_path: Path) -> None:
    files = {
        "data/manifest.js": manifest_js("data/tweets-part7.js", "data/tweets.js"),
        "data/tweets.js": tweets_js([tweet(PLAIN[0])]),
        "data/tweets-part1.js": tweets_js([tweet(PLAIN[1])], part=1),
    }
    profile, tweets = read(tmp_path, files)
    assert [one.text for one in tweets] == list(PLAIN[:2])
    assert (profile.note or "").startswith("archive.zip holds 1 of the 2 files of tweets that its manifest names, so tweets are missing:")


def test_manifest_names_a_part_that_no_rule_would_guess(tmp_path: Path) -> None:
    files = {"data/manifest.js": manifest_js("data/tweets.of.2023.js"), "data/tweets.of.2023.js": tweets_js([tweet(PLAIN[0])])}
    profile, tweets = read(tmp_path, files)
    assert [one.text for one in tweets] == [PLAIN[0]]
    assert profile.note is None


def test_all_parts_missing(tmp_path: Path) -> None:
    with pytest.raises(BrokenArchive, match="files that its manifest names are missing"):
        read(tmp_path, {"data/manifest.js": manifest_js("data/tweets.js")})


@pytest.mark.parametrize("broken", ["window.__THAR_CONFIG = {", "", "[[[", "window.__THAR_CONFIG = [1]"])
def test_manifest_that_cannot_be_read_is_done_without(tmp_path: Path, broken: str) -> None:
    assert texts(tmp_path, {"data/manifest.js": broken, "data/tweets.js": tweets_js([tweet(PLAIN[0])])}) == [PLAIN[0]]


@pytest.mark.parametrize("name", ["tweet.js", "data/tweet.js"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_layouts_of_2019_to_2022(tmp_path: Path, name: str, wrapped: bool) -> None:
    files = {name: tweets_js(map(tweet, PLAIN), kind="tweet", wrapped=wrapped), name.replace("tweet", "account"): account_js()}
    profile, tweets = read(tmp_path, files)
    assert profile.handle == "wren"
    assert [one.text for one in tweets] == list(PLAIN)


def test_grailbird_newest_month_first(tmp_path: Path) -> None:
    profile, tweets = read(
        tmp_path,
        {
            "data/js/user_details.js": 'var user_details =  {"screen_name": "wren", "full_name": "Wren Oddly"}',
            "data/js/tweets/2015_02.js": month_js("2015_02", PLAIN[:1]),
            "data/js/tweets/2015_10.js": month_js("2015_10", PLAIN[1:2]),
            "tweets.csv": "tweet_id,text\n1,not read where there is better\n",
        },
    )
    assert profile == Profile("wren", "Wren Oddly")
    assert [one.text for one in tweets] == [PLAIN[1], PLAIN[0]]
    assert tweets[0].created_at == at(0)


def test_grailbird_retweet(tmp_path: Path) -> None:
    record = {"text": "as somebody said", "retweeted_status": {"text": "as somebody said"}}
    _, tweets = read(tmp_path, {"data/js/tweets/2015_02.js": f"Grailbird.data.tweets_2015_02 = \n {json.dumps([record])}"})
    assert [one.is_retweet for one in tweets] == [True]


def test_grailbird_table_alone(tmp_path: Path) -> None:
    table = f'"tweet_id","timestamp","text","retweeted_status_id"\n"1","2015-11-01 08:00:22 +0000","{PLAIN[0]}",""\n"2","","RT","99"\n'
    _, tweets = read(tmp_path, {"x/tweets.csv": table})
    assert [(one.id, one.text, one.is_retweet) for one in tweets] == [("1", PLAIN[0], False), ("2", "RT", True)]


def test_private_files_are_never_opened(tmp_path: Path) -> None:
    hidden = ["deleted-tweets", "deleted-note-tweet", "deleted-tweet-headers", "direct-messages", "direct-messages-group"]
    hidden += ["twitter-circle-tweet", "twitter-circle", "community-tweet", "account", "like", "tweet-headers", "tweetdeck"]
    hidden += ["email-address-change", "phone-number", "ip-audit", "contact", "screen-name-change", "grok-chat-item"]
    # Bytes that are no text: whoever reads one of these files fails.
    files: dict[str, str | bytes] = {f"data/{name}.js": b"\xff\xfe\xff" for name in hidden}
    files |= {"data/manifest.js": manifest_js("data/tweets.js", "data/deleted-tweets.js"), "data/tweets.js": tweets_js([tweet(PLAIN[0])])}
    assert texts(tmp_path, files) == [PLAIN[0]]


def test_what_macos_and_the_viewer_add_is_passed_over(tmp_path: Path) -> None:
    files = {"a/data/tweets.js": tweets_js([tweet(PLAIN[0])]), "__MACOSX/a/data/._tweets.js": "\0", "a/assets/js/tweets.js": "x"}
    assert texts(tmp_path, files) == [PLAIN[0]]


def test_two_archives_in_one_zip(tmp_path: Path) -> None:
    files = {f"{who}/data/tweets.js": tweets_js([tweet(PLAIN[0])]) for who in ("wren", "finch")}
    with pytest.raises(BrokenArchive, match=r"holds 2 archives \('finch/', 'wren/'\)"):
        read(tmp_path, files)


def test_other_kinds_of_the_archive_are_not_the_persons_tweets(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds the archive's deleted_tweets"):
        read(tmp_path, {"data/tweets.js": tweets_js([tweet(PLAIN[0])], kind="deleted_tweets")})


@pytest.mark.parametrize("newest_first", [True, False])
def test_of_an_edited_tweet_the_last_version_counts(tmp_path: Path, newest_first: bool) -> None:
    versions = {"initial": {"editTweetIds": ["1000", "1001", "1002"]}}
    edited = [tweet(PLAIN[n], n, edit_info=versions) for n in range(3)]
    found = texts(tmp_path, {"data/tweets.js": tweets_js([*(reversed(edited) if newest_first else edited), tweet(PLAIN[3], 3)])})
    assert found == [PLAIN[2], PLAIN[3]]


def test_edited_tweet_whose_first_version_does_not_know_it(tmp_path: Path) -> None:
    info = {"edit": {"initialTweetId": "1000", "editControlInitial": {"editTweetIds": ["1000", "1001"]}}}
    found = texts(tmp_path, {"data/tweets.js": tweets_js([tweet(PLAIN[1], 1, edit_info=info), tweet(PLAIN[0], 0)])})
    assert found == [PLAIN[1]]


WHOLE = "Once upon a time a heron stood in our pond & refused to leave, which is where this very long post begins. " * 4
CUT = WHOLE[:250].replace("&", "&amp;")


@pytest.mark.parametrize("ending", ["…", "… https://t.co/abc", ""])
@pytest.mark.parametrize("apart_s", [-3, 0, 2])
def test_long_post_gets_its_whole_text(tmp_path: Path, ending: str, apart_s: int) -> None:
    files = {
        "data/tweets.js": tweets_js([tweet(CUT + ending, 0), tweet(PLAIN[0], 1)]),
        "data/note-tweet.js": notes_js((WHOLE, at(0) + timedelta(seconds=apart_s))),
    }
    assert texts(tmp_path, files) == [WHOLE, PLAIN[0]]


def test_long_reply_keeps_its_mentions(tmp_path: Path) -> None:
    files = {"data/tweets.js": tweets_js([tweet(f"@finch @robin {CUT}…", 0)]), "data/note-tweet.js": notes_js((WHOLE, at(0)))}
    assert texts(tmp_path, files) == [f"@finch @robin {WHOLE}"]


REPLY = "@finch @robin you are quite right about the pond"


@pytest.mark.parametrize(
    ("text", "shown", "left"),
    [
        (REPLY, ["14", "48"], "you are quite right about the pond"),
        (REPLY, [14, 48], "you are quite right about the pond"),
        (REPLY, ["7", "48"], REPLY[7:]),
        (REPLY, ["0", "48"], REPLY),
        (REPLY, ["20", "48"], REPLY),
        (REPLY, ["-1", "48"], REPLY),
        (REPLY, ["9999", "48"], REPLY),
        (REPLY, "14", REPLY),
        (REPLY, None, REPLY),
        (REPLY, {"0": "14"}, REPLY),
        ("@finch @robin", ["13", "13"], ""),
        ("Well, @finch agrees about the pond", ["6", "34"], "Well, @finch agrees about the pond"),
        ("＠finch 池のことは本当にその通りです", ["7", "19"], "池のことは本当にその通りです"),
        ("@finch 🦆 &amp; friends agree about it https://t.co/a", ["7", "36"], "🦆 &amp; friends agree about it https://t.co/a"),
    ],
)
def test_the_mentions_before_a_reply_are_not_the_persons_words(tmp_path: Path, text: str, shown: object, left: str) -> None:
    assert texts(tmp_path, {"data/tweets.js": tweets_js([tweet(text, display_text_range=shown)])}) == [left]


@pytest.mark.parametrize("mentions", ["", "@finch @robin "])
def test_a_long_reply_is_whole_and_without_its_mentions(tmp_path: Path, mentions: str) -> None:
    files = {
        "data/tweets.js": tweets_js([tweet(f"@finch @robin {CUT}…", 0, display_text_range=["14", "280"])]),
        "data/note-tweet.js": notes_js((mentions + WHOLE, at(0))),
    }
    assert texts(tmp_path, files) == [WHOLE]


def test_long_posts_in_parts_that_begin_alike(tmp_path: Path) -> None:
    alike = [f"{WHOLE[:260]} and that is version {n} of it" for n in range(3)]
    files = {
        "data/tweets.js": tweets_js([tweet(text[:270] + "…", n) for n, text in enumerate(alike)]),
        "data/note-tweet.js": notes_js((alike[0], at(0)), (alike[1], at(1))),
        "data/note-tweet-part1.js": notes_js((alike[2], at(2))),
    }
    assert texts(tmp_path, files) == alike


def test_more_long_posts_than_anybody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"data/tweets.js": tweets_js([tweet(PLAIN[0])]), "data/note-tweet.js": notes_js(*((f"{WHOLE}{n}", at(0)) for n in range(101)))}
    with pytest.raises(BrokenArchive, match="more long posts than anybody writes"):
        read(tmp_path, files)
    monkeypatch.setattr(longposts, "MAX_PACKED_BYTES", 1000)
    files["data/note-tweet.js"] = notes_js(*((f"{n} {WHOLE}", at(n)) for n in range(20)))
    with pytest.raises(BrokenArchive, match="more long posts than anybody writes"):
        read(tmp_path, files)


@pytest.mark.parametrize(
    ("text", "apart_s"),
    [(f"Another text altogether. {CUT}", 0), (CUT, 3600), ("https://t.co/abc", 0), ("Once", 0)],
    ids=["other words", "an hour later", "link only", "too little to tell"],
)
def test_long_post_of_another_tweet_is_left_alone(tmp_path: Path, text: str, apart_s: int) -> None:
    files = {
        "data/tweets.js": tweets_js([tweet(text, 0)]),
        "data/note-tweet.js": notes_js((WHOLE, at(0) + timedelta(seconds=apart_s))),
    }
    assert texts(tmp_path, files) == [text]


def test_one_person_zipped_tweets_js_alone(tmp_path: Path) -> None:
    assert texts(tmp_path, {"tweets.js": tweets_js([tweet(PLAIN[0])])}) == [PLAIN[0]]
