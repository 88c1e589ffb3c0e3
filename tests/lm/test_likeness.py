from bot.lm.likeness import repeats
from bot.lm.vocabulary import words_read


def test_what_nearly_says_the_same_is_counted() -> None:
    same = ["An old tram forgets everything tonight", "an old tram forgets everything, tonight!"]
    assert repeats([*same, "The umbrella remembers all of it", "Fog", "🦉"]) == 2
    assert repeats(["🦉", "🦉", "Fog", "fog!"]) >= 3
    assert repeats([]) == 0


def test_what_nano_has_read_is_known() -> None:
    words = words_read("nano")
    assert words is not None
    assert {"heron", "kettle", "don", "naïve"} <= words
    assert words.isdisjoint({"terrorismalism", "Heron", "", "an"})
    assert words_read("/somewhere/gpt2") is None
