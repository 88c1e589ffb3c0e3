"""Times as they stand in rows: UTC, ISO 8601, always with microseconds, so that the order of the text is the order of time."""

from datetime import UTC, datetime
from typing import overload


def to_text(moment: datetime) -> str:
    """Write an aware moment.

    Raises:
        ValueError: for a naive one, which could mean anything.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


@overload
def from_text(text: str) -> datetime: ...
@overload
def from_text(text: None) -> None: ...
def from_text(text: str | None) -> datetime | None:
    """Read what `to_text` wrote; NULL stays None."""
    return None if text is None else datetime.fromisoformat(text)
