from bot.lm.likeness import repeats


def test_what_nearly_says_the_same_is_counted() -> None:
    same = ["An old tram forgets everything tonight", "an old tram forgets everything, tonight!"]
    assert repeats([*same, "The umbrella remembers all of it", "Fog", "🦉"]) == 2
    assert repeats(["🦉", "🦉", "Fog", "fog!"]) >= 3
    assert repeats([]) == 0
