"""Which sources an operator lets be asked."""

import pytest
from pydantic import SecretStr

from bot.clock import SystemClock
from bot.config import Settings
from bot.errors import BadInput, NoAccess
from bot.tweets.accounts import SERVICES, make_source
from bot.tweets.bluesky import Bluesky
from bot.tweets.mastodon import Mastodon
from bot.tweets.x import X

OFF = Settings(_env_file=None)
ON = Settings(_env_file=None, x_enabled="i-have-read-the-terms", x_bearer_token=SecretStr("token"), mastodon_instances="Fosstodon.org")


@pytest.mark.parametrize(("name", "kind"), [("x", X), ("bluesky", Bluesky), ("mastodon", Mastodon)])
async def test_each_source_by_its_name(name: str, kind: type) -> None:
    source = make_source(name, ON, clock=SystemClock())
    assert type(source) is kind
    assert source.depth >= 3200
    await source.close()


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("x", OFF, "terms forbid .* X_ENABLED"),
        ("x", OFF.model_copy(update={"x_bearer_token": SecretStr("token")}), "terms forbid .* X_ENABLED"),
        ("x", ON.model_copy(update={"x_bearer_token": None}), "X_BEARER_TOKEN"),
        ("x", ON.model_copy(update={"x_bearer_token": SecretStr(" ")}), "X_BEARER_TOKEN"),
        ("mastodon", OFF, "MASTODON_INSTANCES"),
        ("mastodon", OFF.model_copy(update={"mastodon_instances": " , "}), "MASTODON_INSTANCES"),
    ],
)
def test_what_the_operator_has_not_allowed_is_refused_with_the_next_step(name: str, settings: Settings, words: str) -> None:
    with pytest.raises(NoAccess, match=words) as caught:
        make_source(name, settings, clock=SystemClock())
    assert "instead" in str(caught.value)
    assert "token " not in str(caught.value).replace("a token", "")


@pytest.mark.parametrize("name", ["", "X", "file", "threads", "../x"])
def test_an_unknown_source(name: str) -> None:
    with pytest.raises(BadInput, match="choose x, bluesky or mastodon"):
        make_source(name, ON, clock=SystemClock())
    assert set(SERVICES) == {"x", "bluesky", "mastodon"}
