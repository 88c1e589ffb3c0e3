"""The sources that can be asked for an account's posts, by name, as far as the operator lets them be asked."""

from typing import Literal

import aiohttp

from bot.clock import Clock
from bot.config import Settings
from bot.errors import BadInput, NoAccess
from bot.tweets.bluesky import Bluesky
from bot.tweets.mastodon import Mastodon
from bot.tweets.source import Source
from bot.tweets.x import X

Service = Literal["x", "bluesky", "mastodon"]
SERVICES: dict[Service, str] = {"x": "X", "bluesky": "Bluesky", "mastodon": "Mastodon"}
"""Where tweets can be read from, and what people call it."""
_ARCHIVE = "give the account's X archive instead"
_EXPORT = "give the outbox.json of the account's export instead"


def make_source(name: str, settings: Settings, *, clock: Clock, connector: aiohttp.BaseConnector | None = None) -> Source:
    """The source of this name; nothing is asked yet, and no large library imported.

    Args:
        name: one of SERVICES.
        settings: what the operator allows.
        clock: tells whether a limit ends in the time to come.
        connector: the way to its servers, taken over by the source; None: an ordinary one.

    Raises:
        NoAccess: the operator does not let it be asked.
        BadInput: there is none of that name.
    """
    match name:
        case "x":
            return _x(settings, clock, connector)
        case "bluesky":
            return Bluesky(clock=clock, connector=connector)
        case "mastodon":
            return _mastodon(settings, clock, connector)
        case _:
            *others, last = SERVICES
            raise BadInput(f"There is no source {name!r}: choose {', '.join(others)} or {last}, or give a file.")


def _x(settings: Settings, clock: Clock, connector: aiohttp.BaseConnector | None) -> Source:
    if settings.x_enabled is None:
        raise NoAccess(
            f"X is off here, because its terms forbid to train on what its API gives: {_ARCHIVE}, or the operator reads the terms and "
            "sets X_ENABLED."
        )
    token = settings.x_bearer_token.get_secret_value() if settings.x_bearer_token else ""
    if not token.strip():
        raise NoAccess(f"X cannot be asked without a token: {_ARCHIVE}, or the operator sets X_BEARER_TOKEN.")
    return X(token, clock=clock, connector=connector)


def _mastodon(settings: Settings, clock: Clock, connector: aiohttp.BaseConnector | None) -> Source:
    if not settings.instances:
        raise NoAccess(
            f"Mastodon is off here, because the terms of many of its servers forbid to train on posts: {_EXPORT}, or the operator names "
            "servers whose terms allow it in MASTODON_INSTANCES."
        )
    return Mastodon(settings.instances, clock=clock, connector=connector)
