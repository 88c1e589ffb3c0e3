"""Plain words to cron lines, cron lines to slots: the changes of daylight saving above all."""

import re
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import BadInput
from bot.when import describe, is_quiet, next_slot, parse_quiet, parse_when, shortest_gap, slots

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")


@pytest.mark.parametrize(
    ("text", "cron"),
    [
        ("every day at 9:00", "0 9 * * *"),
        ("Every day at 09.30", "30 9 * * *"),
        ("daily at 18:05", "5 18 * * *"),
        ("at 7:15", "15 7 * * *"),
        ("18:30", "30 18 * * *"),
        ("every day at noon", "0 12 * * *"),
        ("midnight", "0 0 * * *"),
        ("every day at 12 am", "0 0 * * *"),
        ("every day at 12:30pm", "30 12 * * *"),
        ("every monday at 9:00 pm", "0 21 * * 1"),
        ("every monday at 18:30", "30 18 * * 1"),
        ("sundays at 8", "0 8 * * 0"),
        ("weekdays at 8:00", "0 8 * * 1-5"),
        ("every weekend at 10:00", "0 10 * * 0,6"),
        ("mon, wed and fri at 7:45", "45 7 * * 1,3,5"),
        ("every tuesday and thursday at 9", "0 9 * * 2,4"),
        ("weekdays and saturdays at 6am", "0 6 * * 1,2,3,4,5,6"),
        ("every hour", "0 * * * *"),
        ("hourly", "0 * * * *"),
        ("every 6 hours", "0 */6 * * *"),
        ("every 24 hours", "0 0 * * *"),
        ("every 30 minutes", "*/30 * * * *"),
        ("every 60 minutes", "0 * * * *"),
        ("30 18 * * 1-5", "30 18 * * 1-5"),
        ("  0  9 1 jan mon#1 ", "0 9 1 JAN MON#1"),
    ],
)
def test_plain_words_and_cron_lines(text: str, cron: str) -> None:
    assert parse_when(text) == cron


@pytest.mark.parametrize(
    "text",
    [
        "",
        "soon",
        "every day",
        "9",
        "every day at 25:00",
        "every day at 9:60",
        "every day at 13 pm",
        "every birdday at 9:00",
        "every 5 hours",
        "every 0 hours",
        "every 7 minutes",
        "* * * *",
        "0 9 * * * *",
        "61 9 * * *",
        "0 9 * * 8",
        "0 9 30 2 *",
        "٣ 9 * * *",
        "x" * 500,
    ],
)
def test_anything_else_is_refused_with_what_would_do(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        parse_when(text)
    assert len(str(refused.value)) < 400
    assert re.search(r"try|do\.$", str(refused.value))


@given(st.sets(st.integers(0, 6), min_size=1), st.integers(0, 23), st.integers(0, 59), st.booleans())
def test_every_plain_time_means_what_it_says(days: set[int], hour: int, minute: int, american: bool) -> None:
    time = f"{hour % 12 or 12}:{minute:02} {'pm' if hour >= 12 else 'am'}" if american else f"{hour}:{minute:02}"
    cron = parse_when(f"every {', '.join(NAMES[day] for day in sorted(days))} at {time}")
    for slot in islice(slots(cron, "UTC", NOON), 10):
        assert ((slot.weekday() + 1) % 7 in days, slot.hour, slot.minute) == (True, hour, minute)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    spans = st.tuples(number, number).map(lambda ends: f"{min(ends)}-{max(ends)}")
    steps = st.integers(1, high).map("*/{}".format)
    return st.one_of(st.just("*"), number.map(str), spans, steps, st.lists(number.map(str), min_size=1, max_size=3).map(",".join))


CRONS = st.tuples(field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)).map(" ".join)
MOMENTS = st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001  # hypothesis adds the zone
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "America/Sao_Paulo"])


@given(CRONS)
def test_a_cron_line_is_itself_and_can_be_described(cron: str) -> None:
    assert parse_when(cron) == cron
    assert parse_when(parse_when(cron)) == cron
    assert describe(cron, "Europe/Berlin").endswith("(Europe/Berlin)")


@given(st.text(max_size=80))
def test_any_text_is_a_cron_line_or_refused(text: str) -> None:
    try:
        cron = parse_when(text)
    except BadInput:
        return
    assert len(cron.split()) == 5
    assert describe(cron, "UTC")


@given(CRONS, ZONES, MOMENTS)
def test_slots_rise_and_do_not_depend_on_where_one_starts(cron: str, zone: str, after: datetime) -> None:
    try:
        found = list(islice(slots(cron, zone, after), 4))
    except BadInput:
        return
    assert all(earlier < later for earlier, later in zip([after, *found], found, strict=False))
    assert all(slot.tzinfo is UTC for slot in found)
    assert next_slot(cron, zone, found[2] - timedelta(microseconds=1)) == found[2]
    assert next_slot(cron, zone, found[2]) == found[3]
    between = found[0] + (found[1] - found[0]) / 2
    assert next_slot(cron, zone, between) == found[1]


NEW_YORK, BERLIN = ("America/New_York", 3, 8, 11, 1), ("Europe/Berlin", 3, 29, 10, 25)


@pytest.mark.parametrize(("zone", "month", "day", "_m", "_d"), [NEW_YORK, BERLIN])
@pytest.mark.parametrize(("cron", "local"), [("30 1 * * *", "01:30"), ("30 2 * * *", "03:00")])
def test_one_slot_on_the_day_that_loses_an_hour(cron: str, local: str, zone: str, month: int, day: int, _m: int, _d: int) -> None:
    # In New York 02:00 becomes 03:00, in Berlin 02:00 becomes 03:00 as well.
    found = on_the_day(cron, zone, month, day)
    assert [f"{slot:%H:%M}" for slot in found] == [local]


@pytest.mark.parametrize(("zone", "_m", "_d", "month", "day"), [NEW_YORK, BERLIN])
@pytest.mark.parametrize("cron", ["30 1 * * *", "30 2 * * *"])
def test_one_slot_on_the_day_that_has_an_hour_twice(cron: str, zone: str, month: int, day: int, _m: int, _d: int) -> None:
    (slot,) = on_the_day(cron, zone, month, day)
    assert [slot.minute, slot.hour] == [int(part) for part in cron.split()[:2]]
    assert slot.fold == 0


@pytest.mark.parametrize(("zone", "lost_m", "lost_d", "twice_m", "twice_d"), [NEW_YORK, BERLIN])
def test_hourly_goes_by_real_hours(zone: str, lost_m: int, lost_d: int, twice_m: int, twice_d: int) -> None:
    assert len(on_the_day("0 * * * *", zone, lost_m, lost_d)) == 23
    assert len(on_the_day("0 * * * *", zone, twice_m, twice_d)) == 25


def test_in_the_second_pass_of_an_hour_the_first_is_over() -> None:
    second_pass = datetime(2026, 11, 1, 6, 15, tzinfo=UTC)  # 01:15 in New York, for the second time
    assert next_slot("30 1 * * *", "America/New_York", second_pass) == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)


def on_the_day(cron: str, zone: str, month: int, day: int) -> list[datetime]:
    start = datetime(2026, month, day, tzinfo=ZoneInfo(zone))
    found: list[datetime] = []
    for slot in slots(cron, zone, start.astimezone(UTC) - timedelta(seconds=1)):
        local = slot.astimezone(ZoneInfo(zone))
        if local.date() != start.date():
            return found
        found.append(local)
    raise AssertionError


def test_weekday_1_is_monday() -> None:
    assert f"{next_slot('0 9 * * 1', 'UTC', NOON):%A}" == "Monday"
    assert describe("0 9 * * 1", "UTC") == "At 09:00, only on Monday (UTC)"
    assert f"{next_slot('0 9 * * 7', 'UTC', NOON):%A}" == "Sunday"


def test_what_never_comes_is_refused() -> None:
    for cron in ("0 9 30 2 *", "0 9 31 2,4 *"):
        with pytest.raises(BadInput, match="no cron line that ever comes"):
            next_slot(cron, "UTC", NOON)
    with pytest.raises(BadInput, match="never comes within five years"):
        next_slot("0 9 * 2 MON#5", "UTC", NOON)
    with pytest.raises(BadInput, match="never comes within five years"):
        next_slot("0 0 29 2 *", "UTC", datetime(2097, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("cron", "minutes"), [("0 9 * * *", 1440), ("*/15 * * * *", 15), ("0,5 9 1 1 *", 5), ("0,58 0,23 * * *", 2), ("*/7 * * * *", 4)]
)
def test_the_shortest_gap(cron: str, minutes: int) -> None:
    assert shortest_gap(cron, NOON) == timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("cron", "words"),
    [
        ("0 9 * * *", "At 09:00, every day (UTC)"),
        ("30 18 * * 1-5", "At 18:30, Monday through Friday (UTC)"),
        ("0 * * * *", "Every hour (UTC)"),
        ("*/15 * * * *", "Every 15 minutes (UTC)"),
    ],
)
def test_descriptions_read_well(cron: str, words: str) -> None:
    assert describe(cron, "UTC") == words


@pytest.mark.parametrize(
    ("text", "quiet"),
    [
        ("22-7", "22:00-07:00"),
        ("22:30 to 7:15", "22:30-07:15"),
        ("11 pm - 6 am", "23:00-06:00"),
        ("midnight until noon", "00:00-12:00"),
        ("13–14", "13:00-14:00"),
        ("22:00-07:00", "22:00-07:00"),
    ],
)
def test_quiet_hours_are_read(text: str, quiet: str) -> None:
    assert parse_quiet(text) == quiet


@pytest.mark.parametrize("text", ["", "22", "night", "22-22", "25-7", "22-", "monday-friday", "22-7-9", "every day at 9 to 10"])
def test_what_are_no_quiet_hours_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_quiet(text)


def test_quiet_hours_go_by_the_clocks_of_the_zone() -> None:
    summer, winter = datetime(2026, 7, 1, 4, 59, tzinfo=UTC), datetime(2026, 1, 1, 5, 59, tzinfo=UTC)
    for moment in (summer, winter):
        assert is_quiet("22:00-07:00", "Europe/Berlin", moment)
        assert not is_quiet("22:00-07:00", "Europe/Berlin", moment + timedelta(minutes=1))
        assert not is_quiet(None, "Europe/Berlin", moment)
    assert is_quiet("13:00-14:00", "UTC", datetime(2026, 1, 1, 13, tzinfo=UTC))
    assert not is_quiet("13:00-14:00", "UTC", datetime(2026, 1, 1, 14, tzinfo=UTC))
