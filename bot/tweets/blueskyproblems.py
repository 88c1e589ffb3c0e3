"""What Bluesky's refusals mean. Pure: no request, no clock.

Nearly all come with status 400; what happened is told by the name in `error` and, where that is InvalidRequest, by the words in `message`.
"""

from collections.abc import Mapping
from datetime import datetime

from bot.errors import Missing, NoAccess, Protected, RateLimited, SourceDown, SourceError, Suspended
from bot.tweets.web import Answer, moment

_CLOSED = {"AccountTakedown", "RepoTakendown", "RepoSuspended", "UserTakedown"}
_LEFT = {"AccountDeactivated", "RepoDeactivated"}
_UNKNOWN = ("profile not found", "could not find", "actor not found", "unable to resolve handle", "must be a valid did or a handle")


class Refused(Exception):  # no error of ours yet: it has no sentence
    """An answer that holds nothing of what was asked for."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"HTTP {answer.status}")
        self.answer = answer


def refusal(answer: Answer, handle: str, now: datetime) -> SourceError:
    """The error in an answer that gives nothing of @`handle`."""
    name, message = said(answer)
    if answer.status == 429 or name == "RateLimitExceeded":
        return _limited(answer, now)
    if answer.status == 200:
        return unreadable()
    return _account(name, message.lower(), handle) or _other(answer, name, message, handle)


def _account(name: str, words: str, handle: str) -> SourceError | None:
    if name in _CLOSED or "suspended" in words or "taken down" in words:
        return suspended(handle)
    if name in _LEFT or "deactivated" in words:
        return Missing(f"@{handle} has been deactivated at Bluesky by its owner, so nothing can be read there: wait until it is back.")
    return missing(handle) if any(unknown in words for unknown in _UNKNOWN) else None


def _other(answer: Answer, name: str, message: str, handle: str) -> SourceError:
    if answer.status in (401, 403) and name:
        return NoAccess(f"Bluesky shows @{handle} only to those who are signed in, and Mynah is not: choose another account.")
    detail = " ".join(f"{name} {message}".split())[:120]
    detail = ", ".join(filter(None, [f"HTTP {answer.status}", detail]))
    return SourceDown(f"Bluesky gives nothing of @{handle} ({detail}): wait until it works again.")


def unreadable() -> SourceDown:
    """The answer is none of Bluesky's API."""
    return SourceDown("Bluesky answered with something that Mynah cannot read: wait until it works again.")


def missing(handle: str) -> Missing:
    """There is no account of that name, or there is no longer."""
    hint = "" if "." in handle else " (names there are domains, such as nasa.bsky.social)"
    return Missing(f"Bluesky knows no account @{handle}{hint}: look at how it is spelt, and whether it has been renamed or closed.")


def suspended(handle: str) -> Suspended:
    """Bluesky has closed the account."""
    return Suspended(f"Bluesky has suspended @{handle}, so its posts cannot be read there: choose another account.")


def protected(handle: str) -> Protected:
    """Its owner lets only those see it who are signed in."""
    return Protected(f"@{handle} has asked Bluesky to show its posts only to those who are signed in, so Mynah does not read them.")


def is_without_record(answer: Answer) -> bool:
    """Whether a server says that the account has no such record, and nothing else."""
    name, message = said(answer)
    return name == "RecordNotFound" or (answer.status in (400, 404) and "could not locate record" in message.lower())


def said(answer: Answer) -> tuple[str, str]:
    """The name and the message of the error."""
    body = answer.json()
    name, message = (body.get("error"), body.get("message")) if isinstance(body, Mapping) else ("", "")
    return name if isinstance(name, str) else "", message if isinstance(message, str) else ""


def _limited(answer: Answer, now: datetime) -> RateLimited:
    until = moment(answer.headers.get("ratelimit-reset"), now) or moment(answer.headers.get("retry-after"), now)
    if until is None:
        return RateLimited("Bluesky takes no more requests from here for now, and does not say until when: wait five minutes or more.")
    return RateLimited(f"Bluesky takes no more requests from here until {until:%Y-%m-%d %H:%M:%S} UTC: wait until then.", until=until)
