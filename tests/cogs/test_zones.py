"""Time zones as people type them."""

from contextlib import suppress
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput
from cogs.ui.zones import catalogue, parse_zone, search


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("", "UTC"),
        ("paris", "Europe/Paris"),
        ("new york", "America/New_York"),
        ("são paulo", "America/Sao_Paulo"),
        ("Sao_Paulo", "America/Sao_Paulo"),
        ("kolkata", "Asia/Kolkata"),
        ("Asia/Tok", "Asia/Tokyo"),
        ("utc", "UTC"),
    ],
)
def test_the_zone_that_was_meant_comes_first(typed: str, name: str) -> None:
    assert search(typed, limit=25)[0].name == name


def test_a_zone_is_found_by_its_common_name() -> None:
    assert "Europe/Berlin" in [zone.name for zone in search("central european", limit=25)]


@given(st.text(max_size=40))
def test_whatever_is_typed_gives_usable_choices(typed: str) -> None:
    found = search(typed, limit=25)
    assert len(found) <= 25
    assert all(1 <= len(zone.label) <= 100 for zone in found)
    assert len({zone.name for zone in found}) == len(found)


def test_every_zone_of_the_catalogue_exists() -> None:
    assert all(ZoneInfo(name) for name in catalogue())


@given(st.sampled_from(sorted(catalogue())), st.booleans())
def test_a_name_is_taken_in_any_case(name: str, upper: bool) -> None:
    assert parse_zone(f" {name.upper() if upper else name.lower()} ") == name


@given(st.text(max_size=100))
def test_what_is_taken_is_a_zone(typed: str) -> None:
    with suppress(BadInput):
        assert parse_zone(typed) in catalogue()


@pytest.mark.parametrize("typed", ["", "Middle Earth", "+02:00", "x" * 500])
def test_anything_else_is_refused_in_one_sentence(typed: str) -> None:
    with pytest.raises(BadInput, match=r"^.{20,200}$"):
        parse_zone(typed)


def test_a_city_that_is_no_zone_name_is_told_the_zone() -> None:
    with pytest.raises(BadInput, match="Asia/Tokyo"):
        parse_zone("Tokyo")
