"""What X's refusals mean, told apart by the shapes that were recorded. Pure: no request, no clock.

X answers 200 where an account is unknown, suspended or protected, and says it in `errors`; a suspended account differs from an unknown one
by its title alone. A limit, the month's cap and money used up share statuses and differ by `type`, of which only the host ever changed.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from bot.errors import Missing, NoAccess, Protected, RateLimited, SourceDown, SourceError, Spent, Suspended
from bot.tweets.cleaning import drop_invisible, one_line
from bot.tweets.web import Answer, moment, text_in

_RESETS = ("x-rate-limit-reset", "x-app-limit-24hour-reset", "x-user-limit-24hour-reset")
_CONSOLE = "in X's developer console"


@dataclass(frozen=True)
class Problem:
    """One of the problems that an answer names; empty where it does not say."""

    title: str = ""
    detail: str = ""
    kind: str = ""
    """The end of its `type`, such as resource-not-found."""
    reason: str = ""
    parameter: str = ""
    code: int = 0
    """Of API v1.1, which some servers of X still answer with."""
    ends: str = ""
    """The day on which a spending limit ends."""
    period: str = ""

    @property
    def words(self) -> str:
        return f"{self.title} {self.detail}".lower()


def problems(payload: object) -> list[Problem]:
    """What an answer's body names, the whole's own problem first."""
    if not isinstance(payload, Mapping):
        return []
    errors = payload.get("errors")
    listed = [*errors] if isinstance(errors, list) else []
    if payload.get("error"):
        listed.append(payload["error"])
    return [problem for item in (payload, *listed) if (problem := _problem(item)) != Problem()]


def _problem(item: object) -> Problem:
    if isinstance(item, str):
        return Problem(detail=item)
    if not isinstance(item, Mapping):
        return Problem()
    code = item.get("code")
    return Problem(
        title=text_in(item, "title"),
        detail=text_in(item, "detail") or text_in(item, "message"),
        kind=text_in(item, "type").rstrip("/").rpartition("/")[2],
        reason=text_in(item, "reason"),
        parameter=text_in(item, "parameter"),
        code=code if isinstance(code, int) else 0,
        ends=text_in(item, "reset_date"),
        period=text_in(item, "period"),
    )


def refusal(answer: Answer, handle: str, now: datetime) -> SourceError:
    """The error in an answer that gives nothing of @`handle`."""
    named = problems(answer.json())
    return (
        _money(answer, named)
        or _limit(answer, named, now)
        or _account(answer, named, handle)
        or _access(answer, named)
        or _other(answer, named, handle)
    )


def _money(answer: Answer, named: list[Problem]) -> SourceError | None:
    for problem in named:
        if problem.kind == "usage-capped" or "usagecap" in problem.words or "usage cap exceeded" in problem.words:
            if problem.period.lower() in ("", "monthly"):
                return Spent(
                    "The posts that X lets this bot read in a month are used up: wait for the next month, "
                    f"or the operator gets a larger plan {_CONSOLE}."
                )
        elif "spend" in problem.words and (problem.kind == "credits" or "spendcap" in problem.words):
            until = f" until {problem.ends}" if re.fullmatch(r"\d{4}-\d\d-\d\d", problem.ends) else ""
            return Spent(f"The operator's spending limit at X is reached{until}: wait, or the operator raises it {_CONSOLE}.")
    if answer.status == 402 or any(problem.kind == "credits" or "creditsdepleted" in problem.words for problem in named):
        return Spent(f"The operator's credit at X is used up: posts can be read again once it has been topped up {_CONSOLE}.")
    return None


def _limit(answer: Answer, named: list[Problem], now: datetime) -> SourceError | None:
    if answer.status != 429 and not any(problem.code == 88 for problem in named):
        return None
    until = _ends(answer.headers, now)
    if until is None:
        return RateLimited(
            "X takes no more requests from this bot for now, and does not say until when: wait a quarter of an hour or more."
        )
    return RateLimited(f"X takes no more requests from this bot until {until:%Y-%m-%d %H:%M:%S} UTC: wait until then.", until=until)


def _ends(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """When the last of the limits that have been reached ends; of all, where none is said to have been reached."""
    reached = [name for name in _RESETS if headers.get(name.replace("reset", "remaining"), "").strip() == "0"]
    moments = [moment(headers.get(name), now) for name in reached or _RESETS[:1]]
    known = [one for one in moments if one is not None]
    return max(known) if known else moment(headers.get("retry-after"), now)


def _account(answer: Answer, named: list[Problem], handle: str) -> SourceError | None:
    for problem in named:
        forbidden = problem.kind == "resource-not-found" and problem.title.lower() == "forbidden"
        if forbidden or problem.code == 63 or "user has been suspended" in problem.words:
            return Suspended(f"X has suspended @{handle}, so its posts cannot be read there: its owner may have an archive of them.")
        if problem.kind == "not-authorized-for-resource" or problem.code == 179:
            return protected(handle)
        if problem.kind == "resource-not-found" or problem.code in (17, 34, 50) or (answer.status == 404 and "not found" in problem.words):
            return missing(handle)
        if answer.status == 400 and (problem.parameter == "username" or "`username`" in problem.detail):
            return missing(handle)
    return None


def protected(handle: str) -> Protected:
    """The account exists, and shows its posts to those alone whom it lets."""
    return Protected(
        f"The posts of @{handle} are protected at X, so Mynah cannot read them there: its owner can send the account's archive."
    )


def missing(handle: str) -> Missing:
    """There is no account of that name, or there is no longer."""
    return Missing(f"X knows no account @{handle}: look at how it is spelt, and whether it has been renamed or closed.")


def _access(answer: Answer, named: list[Problem]) -> SourceError | None:
    if answer.status == 401 or any(problem.code in (32, 89, 99) for problem in named):
        return NoAccess(f"X refuses this bot's token: the operator makes a new bearer token {_CONSOLE} and sets X_BEARER_TOKEN to it.")
    if answer.status != 403 or not named:
        return None
    if any(problem.kind == "client-forbidden" or problem.reason == "client-not-enrolled" for problem in named):
        return NoAccess(
            "X does not let this bot's app in, because it belongs to no project that may read posts: "
            f"the operator attaches it to one {_CONSOLE}."
        )
    if any(problem.kind == "unsupported-authentication" for problem in named):
        return NoAccess(f"X wants another kind of token: the operator sets X_BEARER_TOKEN to the app's bearer token, which is {_CONSOLE}.")
    return NoAccess(f"X does not let this bot's app read posts ({_said(answer, named)}): the operator looks at its plan {_CONSOLE}.")


def _other(answer: Answer, named: list[Problem], handle: str) -> SourceError:
    if answer.status == 400:
        return SourceError(
            f"X does not take the request for the posts of @{handle} ({_said(answer, named)}): train again, which begins anew."
        )
    if answer.status == 200 and not named:
        return unreadable()
    return SourceDown(f"X gives no posts of @{handle} ({_said(answer, named)}): wait until it works again.")


def unreadable() -> SourceDown:
    """The answer is none of X's API."""
    return SourceDown("X answered with something that Mynah cannot read: wait until it works again.")


def _said(answer: Answer, named: list[Problem]) -> str:
    """What X says, for a sentence: the status and a few words."""
    words = next(_words(named), answer.reason)
    return f"HTTP {answer.status}" + (f", {words[:120]}" if words else "")


def _words(named: list[Problem]) -> Iterator[str]:
    for problem in named:
        yield from filter(None, (one_line(drop_invisible(words)) for words in (problem.title, problem.detail)))
