"""Time zones as people look for them: by IANA name, city or the zone's common name. Pure."""

import unicodedata
from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from babel.dates import get_timezone_location, get_timezone_name

from bot.errors import BadInput

FIRST = (
    "UTC",
    "Europe/London",
    "Europe/Paris",
    "Europe/Berlin",
    "Europe/Istanbul",
    "Africa/Lagos",
    "Africa/Johannesburg",
    "Asia/Dubai",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/Sao_Paulo",
)
"""Offered before anything is typed."""


@dataclass(frozen=True)
class Zone:
    name: str
    city: str
    common: str
    """Such as Central European Time."""

    @property
    def label(self) -> str:
        """For a list of choices."""
        return f"{self.name} ({self.city}, {self.common})" if "/" in self.name else f"{self.name} ({self.common})"


@cache
def catalogue() -> dict[str, Zone]:
    """Every zone by its name, in alphabetical order. Takes a tenth of a second the first time."""
    return {
        name: Zone(name, get_timezone_location(name, locale="en", return_city=True), get_timezone_name(name, locale="en"))
        for name in sorted(available_timezones() - {"Factory", "localtime"})
    }


def parse_zone(text: str) -> str:
    """The IANA name, whatever its case.

    Raises:
        BadInput: no zone of that name.
    """
    wanted = text.strip().replace(" ", "_").casefold()
    for name in catalogue():
        if name.casefold() == wanted:
            return name
    near = [zone.name for zone in search(text, limit=3)] if text.strip() else []
    hint = f"did you mean {' or '.join(near)}?" if near else "write one as Europe/Paris or America/New_York."
    raise BadInput(f"{text.strip()[:60]!r} is no time zone: {hint}")


def search(text: str, *, limit: int) -> list[Zone]:
    """Zones in which the words occur, best first: a city or name that begins so before one that only has it somewhere."""
    words = _plain(text)
    if not words:
        return [catalogue()[name] for name in FIRST[:limit]]
    ranked = [(rank, zone.name not in FIRST, zone.name) for zone in catalogue().values() if (rank := _rank(zone, words)) is not None]
    return [catalogue()[name] for _, _, name in sorted(ranked)[:limit]]


def _rank(zone: Zone, words: str) -> int | None:
    name, city, common = _plain(zone.name), _plain(zone.city), _plain(zone.common)
    tests = (
        words in (name, city),
        city.startswith(words) or name.rpartition("/")[2].startswith(words),
        name.startswith(words),
        words in name or words in city,
        words in common,
    )
    return next((rank for rank, holds in enumerate(tests) if holds), None)


def _plain(text: str) -> str:
    """Without case, accents and underscores."""
    decomposed = unicodedata.normalize("NFKD", text.strip().replace("_", " "))
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()
