"""The counts that check on the screen, on texts whose flaws are known."""

import pytest

from scripts.listen import COUNTED, copies, repeats, strangers

TWEETS = [
    "The heron by the canal has opinions about bread and none of them are kind today",
    "夜のパン屋は今日も静かに歌いながら朝を待っている",
    "Soup with @otter at noon",
]


def test_copies_are_found_in_runs_shares_and_wholes() -> None:
    copied = [
        "So the Heron by the canal has opinions, about rain and wind and snow and hail and fog and frost tonight",
        "the heron by umbrella wait has opinions about goat rain",
        "昨日の駅前で会った人のことを夜のパン屋は今日も話そう",
        "At noon",
    ]
    own = ["The heron by the canal has bread and rain and wind and snow and hail", "At ten", "昨日の駅前で会った夜のパン屋の人"]
    assert copies([*copied, *own], TWEETS) == copied


def test_repeats_are_counted_from_the_second_on() -> None:
    assert repeats(["An old tram forgets it all", "Fog", "an old tram forgets it ALL!", "An old tram sings, and nobody hears it"]) == 1


def test_strangers() -> None:
    assert strangers(["Hello @Otter", "Hello @mole", "a@b.org"], TWEETS) == 1


@pytest.mark.parametrize(
    ("kind", "so", "not_so"),
    [
        ("open", ['"It rains', "It rains (so", "「雨が"], ['"It" rains', "1) It rains", "「雨」が"]),
        ("circles", ["it is is so", "one two three four five six, one two three four five six"], ["it is his", "so, sow"]),
        ("link", ["see https://a.b", "t.co/abc", "www.a.b"], ["see it"]),
        ("entity", ["salt &amp; rain"], ["salt & rain;"]),
        ("end", ["So.", "So!”", "そう。", "So! 🌧"], ["So", "So,", "So #rain"]),
        ("#", ["so #rain"], ["so # rain", "a#b"]),
        ("@", ["so @rain"], ["a@b"]),
        ("emoji", ["so 🚀"], ["so ©"]),
    ],
)
def test_what_is_counted(kind: str, so: list[str], not_so: list[str]) -> None:
    assert [COUNTED[kind](text) for text in so] == [True] * len(so)
    assert [COUNTED[kind](text) for text in not_so] == [False] * len(not_so)
