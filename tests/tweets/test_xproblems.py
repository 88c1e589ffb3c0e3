"""X's refusals, told apart: those that were recorded, and others in every form that X is known to give them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.errors import Missing, NoAccess, Protected, RateLimited, SourceDown, SourceError, Spent, Suspended
from tests.contracts.sources.stub import Reply
from tests.tweets.xscene import HERON, NOW, Replies, at_x, post, problem

RECORDED = {
    "user_not_found": Missing,
    "user_suspended_by_username": Suspended,
    "timeline_of_suspended_user": Suspended,
    "timeline_of_protected_user": Protected,
    "tweet_of_suspended_or_protected_user": Protected,
    "client_not_enrolled": NoAccess,
    "unauthorized": NoAccess,
    "rate_limited": RateLimited,
}


@pytest.mark.shared
@pytest.mark.fault(22)
@pytest.mark.parametrize("where", ["profile", "page"])
async def test_the_recorded_errors(shared: Path, where: str) -> None:
    """Each refusal of X that was recorded is told apart, with a sentence of its own."""
    cases = json.loads((shared / "data/api_v2/errors.json").read_text("utf-8"))
    assert {case["case"] for case in cases} == set(RECORDED)
    said: dict[str, str] = {}
    for case in cases:
        reply = Reply(case["body"], case["status"], case.get("headers", {}))
        async with at_x(Replies(reply, reply), now=datetime.fromtimestamp(1665183000, UTC)) as (x, stub):
            with pytest.raises(RECORDED[case["case"]]) as caught:
                await (x.profile("heron") if where == "profile" else x.page(HERON))
            assert len(stub.asked) == 1
        said[case["case"]] = str(caught.value)
        if isinstance(caught.value, RateLimited):
            assert caught.value.until == datetime.fromtimestamp(1665183228, UTC)
    assert len(set(said.values())) == len({*RECORDED.values()}) + 1, "two have no access, for two reasons"


CAP = problem("UsageCapExceeded", "Usage cap exceeded: Monthly product cap", "usage-capped", period="Monthly", scope="Product")
NO_CREDIT = problem("CreditsDepleted", "Your enrolled account [7] does not have any credits to fulfill this request.", "credits")
SPENT = problem("SpendCapReached", "Your enrolled account [7] has reached its billing cycle spend cap.", "credits", reset_date="2026-12-13")
NEVER_MIND = {"x-rate-limit-limit": "40000", "x-rate-limit-remaining": "39999"}
REFUSALS: dict[str, tuple[Reply, type[SourceError], str]] = {
    "month's cap, 429": (Reply(CAP, 429, NEVER_MIND), Spent, "in a month are used up"),
    "month's cap, 403": (Reply(CAP, 403), Spent, "in a month are used up"),
    "month's cap at the new address": (Reply({"type": "https://api.x.com/2/problems/usage-capped"}, 429), Spent, "in a month are used up"),
    "month's cap among errors": (Reply({"errors": [CAP]}, 429), Spent, "in a month are used up"),
    "credit used up": (Reply(NO_CREDIT, 402), Spent, "credit at X is used up"),
    "credit used up, 403": (Reply(NO_CREDIT, 403), Spent, "credit at X is used up"),
    "credit used up, web page": (Reply("<h1>Payment Required</h1>", 402), Spent, "credit at X is used up"),
    "credit used up, nothing": (Reply(b"", 402), Spent, "credit at X is used up"),
    "spending limit": (Reply(SPENT, 403), Spent, "spending limit at X is reached until 2026-12-13"),
    "spending limit with a strange end": (Reply(SPENT | {"reset_date": "@everyone"}, 403), Spent, "limit at X is reached: wait"),
    "bad token": (Reply(problem("Unauthorized", "Unauthorized", status=401), 401), NoAccess, "sets X_BEARER_TOKEN"),
    "bad token, old form": (
        Reply({"errors": [{"code": 89, "message": "Invalid or expired token."}]}, 401),
        NoAccess,
        "refuses this bot's token",
    ),
    "bad token, nothing": (Reply(b"", 401), NoAccess, "refuses this bot's token"),
    "bad token, list": (Reply(["Unauthorized"], 401), NoAccess, "refuses this bot's token"),
    "no permission": (
        Reply(problem("Forbidden", "You are not permitted to perform this action."), 403),
        NoAccess,
        "does not let this bot's app read",
    ),
    "no access, old form": (
        Reply({"errors": [{"code": 453, "message": "You currently have access to a subset."}]}, 403),
        NoAccess,
        "its plan",
    ),
    "another kind of token": (
        Reply(problem("Unsupported Authentication", "", "unsupported-authentication"), 403),
        NoAccess,
        "another kind of token",
    ),
    "no project": (Reply(problem("Client Forbidden", "", "client-forbidden", reason="client-not-enrolled"), 403), NoAccess, "no project"),
    "suspended, 403": (Reply(problem("Forbidden", "User has been suspended: [heron]."), 403), Suspended, "suspended @heron"),
    "suspended in other words": (Reply({"errors": [problem("Forbidden", "Gone.", "resource-not-found")]}), Suspended, "suspended @heron"),
    "suspended, old form": (Reply({"errors": [{"code": 63, "message": "User has been suspended."}]}, 403), Suspended, "suspended @heron"),
    "unknown, 404": (Reply(problem("Not Found Error", "Could not find user.", "resource-not-found"), 404), Missing, "no account @heron"),
    "unknown, old form": (Reply({"errors": [{"code": 50, "message": "User not found."}]}, 404), Missing, "no account @heron"),
    "impossible name": (
        Reply(problem("Invalid Request", "One or more parameters.", "invalid-request", errors=[{"message": "The `username` query"}]), 400),
        Missing,
        "no account @heron",
    ),
    "protected, 401": (Reply({"errors": [{"code": 179, "message": "Not authorised."}]}, 401), Protected, "are protected at X"),
    "cursor of yesterday": (
        Reply(problem("Invalid Request", "The pagination_token is not valid", "invalid-request"), 400),
        SourceError,
        "train again",
    ),
    "over capacity, 200": (
        Reply({"errors": [problem("Over capacity", "Please dial down.", "over")]}),
        SourceDown,
        "HTTP 200, Over capacity",
    ),
    "letters that nobody sees": (
        Reply({"errors": [problem("\0", "Down\0 for a\u202e moment.", "over")]}),
        SourceDown,
        "(HTTP 200, Down for a moment.)",
    ),
    "page not there": (Reply(b"", 404), SourceDown, "HTTP 404, Not Found"),
    "limit, old form": (Reply({"errors": [{"code": 88, "message": "Rate limit exceeded"}]}, 403), RateLimited, "no more requests"),
    "limit of a day": (
        Reply(CAP | {"period": "Daily"}, 429, {"x-app-limit-24hour-remaining": "0", "x-app-limit-24hour-reset": "1795305600"}),
        RateLimited,
        "until 2026-11-22 00:00:00 UTC",
    ),
    "limit with seconds to wait": (Reply(b"", 429, {"Retry-After": "90"}), RateLimited, "until 2026-11-21 12:01:30 UTC"),
    "closed and limited": (Reply({"errors": None, "error": 7, "title": None, "detail": ["?"], "type": {}}, 429), RateLimited, "for now"),
}


@pytest.mark.fault(22)
@pytest.mark.parametrize("case", REFUSALS)
async def test_refusals_are_told_apart(case: str) -> None:
    """Money used up, a limit, a bad token, an app without rights and an account that is closed differ, in whatever form X says them."""
    reply, error, sentence = REFUSALS[case]
    async with at_x(Replies(reply, reply)) as (x, stub):
        for asking in (x.profile("heron"), x.page(HERON)):
            with pytest.raises(error) as caught:
                await asking
            assert type(caught.value) is error
            assert sentence in str(caught.value)
            assert len(str(caught.value)) < 250
        assert len(stub.asked) == 2, "none of these is asked about again"


async def test_the_longest_of_the_limits_that_are_reached_counts() -> None:
    names = ("x-rate-limit", "x-app-limit-24hour", "x-user-limit-24hour")
    for reached, end in (((0,), 1), ((0, 1), 2), ((0, 2), 3), ((1, 2), 3), ((), 1)):
        headers = {f"{name}-reset": str(int(NOW.timestamp()) + 60 * minute) for minute, name in enumerate(names, 1)}
        headers |= {f"{name}-remaining": "0" if index in reached else "5" for index, name in enumerate(names)}
        async with at_x(Replies(Reply({}, 429, headers))) as (x, _):
            with pytest.raises(RateLimited, match=f"12:0{end}:00"):
                await x.profile("heron")


async def test_data_counts_although_there_are_errors_too() -> None:
    both = {
        "errors": [problem("Not Found Error", "Could not find tweet with ids: [5].", "resource-not-found")],
        "data": [post(7)],
        "meta": {},
    }
    async with at_x(Replies(posts=Reply(both))) as (x, _):
        assert len((await x.page(HERON)).tweets) == 1


async def test_errors_count_where_data_is_empty() -> None:
    closed = problem("Forbidden", "User has been suspended: [783214].", "resource-not-found")
    async with at_x(Replies(posts=Reply({"data": [], "meta": {"result_count": 0}, "errors": [closed]}))) as (x, _):
        with pytest.raises(Suspended):
            await x.page(HERON)
