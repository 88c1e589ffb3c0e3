"""When a schedule posts: plain words or a cron line in, slots out. Pure functions.

A cron line has five fields as cronsim reads them (as in Debian): weekday 0 or 7 is Sunday, 1 is Monday. A fixed time that a change of
daylight saving skips falls on the end of the gap; one that it repeats comes once.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from cron_descriptor import ExpressionDescriptor, FormatError, Options
from cronsim import CronSim, CronSimError

from bot.errors import BadInput

EXAMPLES = "every day at 9:00 · weekdays at 18:30 · every monday at 8:00 · every hour · every 6 hours · or a cron line: 30 18 * * 1-5"
FAR = timedelta(days=5 * 366)
"""A line without a slot within this never fires, as far as people are concerned."""
_SLOTS_LOOKED_AT = 500
_QUIET_LOOKED_AT = 3000
"""Slots in a row that may be quiet: a line with one slot in each minute has fewer than these in two days."""
_NAMES = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_DAYS = {
    "day": frozenset(range(7)),
    "daily": frozenset(range(7)),
    "weekday": frozenset(range(1, 6)),
    "weekend": frozenset((0, 6)),
    **{name: frozenset((number,)) for number, name in enumerate(_NAMES)},
    **{name[:3]: frozenset((number,)) for number, name in enumerate(_NAMES)},
}
_TIME = re.compile(
    r"(?:(?P<days>.+?) )??(?P<at>at )?(?P<time>noon|midnight|(?P<hour>[0-9]{1,2})(?:[:.](?P<minute>[0-9]{2}))? ?(?P<half>[ap]m)?)"
)
_SPAN = re.compile(r"(?P<begin>.+?) ?(?:-|–|\bto\b|\buntil\b) ?(?P<end>.+)")
_INTERVAL = re.compile(r"hourly|every (?:(?P<number>[0-9]{1,2}) )?(?P<unit>hour|minute)s?")


def parse_when(text: str) -> str:
    """The cron line for plain words such as "every day at 9:00", or for itself.

    Raises:
        BadInput: it is neither.
    """
    words = " ".join(text.casefold().split())
    cron = _interval(words) or _time_of_day(words) or words.upper()
    if len(cron.split()) != 5:
        raise BadInput(f"“{text.strip()[:60]}” is no time that Mynah understands: try {EXAMPLES}.")
    try:
        CronSim(cron, datetime(2024, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        problem = f"“{text.strip()[:60]}” is no cron line that ever comes ({str(error).lower()})"
        raise BadInput(f"{problem}, nor anything else that Mynah understands: try {EXAMPLES}.") from error
    return cron


def parse_quiet(text: str) -> str:
    """Quiet hours such as "22-7", "22:30 to 7:00" or "11 pm - 6 am", as HH:MM-HH:MM.

    Raises:
        BadInput: they are none, or last for no time at all.
    """
    words = " ".join(text.casefold().split())
    span = _SPAN.fullmatch(words)
    sides = [_TIME.fullmatch(span[side]) for side in ("begin", "end")] if span else []
    if not all(side and not side["days"] for side in sides) or not sides:
        raise BadInput(f"“{text.strip()[:60]}” are no quiet hours that Mynah understands: try 22-7, 22:30 to 7:00 or 11 pm - 6 am.")
    begin, end = (time(*_clock_time(side)) for side in sides if side)
    if begin == end:
        raise BadInput(f"Quiet hours from {begin:%H:%M} to {end:%H:%M} would be none or all: choose two times that differ, such as 22-7.")
    return f"{begin:%H:%M}-{end:%H:%M}"


def is_quiet(quiet: str | None, zone: str, moment: datetime) -> bool:
    """Whether a moment lies in the quiet hours (as of `parse_quiet`) of a zone. Their end does not."""
    if quiet is None:
        return False
    begin, end = (time.fromisoformat(side) for side in quiet.split("-"))
    local = moment.astimezone(ZoneInfo(zone)).time()
    return begin <= local < end if begin < end else local >= begin or local < end


def next_slot(cron: str, zone: str, after: datetime, *, quiet: str | None = None, jitter_s: int = 0) -> datetime:
    """The first slot after a moment, in UTC; one that is quiet, or would be when it comes so many seconds later, is none.

    Raises:
        BadInput: the line is none, has no slot within five years, or none that is not quiet.
    """
    passed = 0
    try:
        for slot in CronSim(cron, after.astimezone(ZoneInfo(zone))):
            moment = slot.astimezone(UTC)
            if moment > after:  # cronsim's may lie before it: the second pass of a repeated hour looks like the first
                if moment - after > FAR:
                    break
                if not (is_quiet(quiet, zone, moment) or is_quiet(quiet, zone, moment + timedelta(seconds=jitter_s))):
                    return moment
                passed += 1
                if passed == _QUIET_LOOKED_AT:
                    break
    except CronSimError as error:
        raise BadInput(f"“{cron}” is no cron line that ever comes ({error}): it takes five fields, such as 30 18 * * 1-5.") from error
    if passed:
        raise BadInput(f"“{cron}” comes in the quiet hours {quiet} only: choose other times or other quiet hours.")
    raise BadInput(f"“{cron}” never comes within five years: check its day and month.")


def slots(cron: str, zone: str, after: datetime, *, quiet: str | None = None, jitter_s: int = 0) -> Iterator[datetime]:
    """The slots after a moment, one by one, in UTC."""
    while True:
        after = next_slot(cron, zone, after, quiet=quiet, jitter_s=jitter_s)
        yield after


def shortest_gap(cron: str, after: datetime) -> timedelta:
    """The shortest time between two of the next slots, changes of daylight saving left aside.

    Raises:
        BadInput: as `next_slot`.
    """
    coming = islice(takewhile(lambda slot: slot - after < FAR, CronSim(cron, after.astimezone(UTC))), _SLOTS_LOOKED_AT)
    return min((later - earlier for earlier, later in pairwise(coming)), default=FAR)


def describe(cron: str, zone: str) -> str:
    """The line in words, such as "At 09:00, Monday through Friday (Europe/Berlin)"; the line itself where there are none for it."""
    minute, hour = cron.split()[:2]
    options = Options()
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    options.verbose = minute.isdigit() and hour.isdigit()  # says "every day", which would be too much said of "every hour"
    try:
        words = ExpressionDescriptor(cron, options).get_description()
    except FormatError:
        words = cron
    return f"{words} ({zone})"


def _interval(words: str) -> str | None:
    """For "every hour" and "every 6 hours"."""
    match = _INTERVAL.fullmatch(words)
    if match is None:
        return None
    number, whole = int(match["number"] or 1), 60 if match["unit"] == "minute" else 24
    if number == 0 or whole % number:
        even = ", ".join(str(n) for n in range(1, whole + 1) if whole % n == 0)
        raise BadInput(f"Every {number} {match['unit']}s does not come out even: {even} do.")
    if match["unit"] == "minute":
        return "0 * * * *" if number == 60 else f"*/{number} * * * *"
    return {1: "0 * * * *", 24: "0 0 * * *"}.get(number, f"0 */{number} * * *")


def _time_of_day(words: str) -> str | None:
    """For "every day at 9:00", "weekdays at 8", "monday and friday at 6 pm", "18:30"."""
    match = _TIME.fullmatch(words)
    if match is None or not (match["days"] or match["at"] or match["minute"] or match["half"] or match["hour"] is None):
        return None
    days = _days(match["days"] or "day")
    if days is None:
        return None
    hour, minute = _clock_time(match)
    return f"{minute} {hour} * * {days}"


def _days(words: str) -> str | None:
    """The last field of the cron line."""
    found: set[int] = set()
    for word in re.split(r",? and |, ?| ", re.sub(r"^(every|each|on) ", "", words)):
        days = _DAYS.get(word) or _DAYS.get(word.removesuffix("s"))
        if days is None:
            return None
        found |= days
    if len(found) == 7:
        return "*"
    return "1-5" if found == _DAYS["weekday"] else ",".join(str(day) for day in sorted(found))


def _clock_time(match: re.Match[str]) -> tuple[int, int]:
    if match["hour"] is None:
        return (12 if match["time"] == "noon" else 0), 0
    hour, minute, half = int(match["hour"]), int(match["minute"] or 0), match["half"]
    if hour > 23 or minute > 59 or (half and not 1 <= hour <= 12):
        raise BadInput(f"{match['time']} is no time of day: try 9:00, 21:30 or 9 pm.")
    return hour % 12 + 12 * (half == "pm") if half else hour, minute
