"""Fields of another kind than any server sends them, each in one post of many: the others are read."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.tweets.files import read_source
from bot.tweets.source import Profile
from bot.tweets.web import Patience
from tests.clock import ManualClock
from tests.contracts.sources.mastodon import MastodonCase, identity_of
from tests.contracts.sources.stub import Reply, running
from tests.contracts.sources.world import BEGIN, Account, Post

ODD: tuple[object, ...] = (None, True, 0, 1.5, "x", "9" * 5000, [], [None], ["public", "Note"], {}, {"a": 1})
PUBLIC = ["https://www.w3.org/ns/activitystreams#Public"]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize(
    "field", ["id", "visibility", "created_at", "content", "account", "reblog", "spoiler_text", "emojis", "in_reply_to_id"]
)
async def test_an_odd_status_costs_no_other(field: str, odd: object) -> None:
    case = MastodonCase()
    account = Account(case.handle, posts=[Post(number, f"The kettle has opinions, {number}.") for number in (3, 2, 1)])
    case.world.accounts[case.handle] = account
    async with running(case.world) as stub:
        source = case.source(stub.connector(), clock=ManualClock(BEGIN), patience=Patience(tries=1))
        whole: list[dict[str, Any]] = [case.world._status(post, account) for post in account.posts]  # as its server sends them
        stub.instead(Reply([whole[0], whole[1] | {field: odd}, whole[2]]))
        page = await source.page(Profile(case.handle, id=identity_of(account)), since="5")
        await source.close()
    texts = [tweet.text for tweet in page.tweets]
    assert (texts[0], texts[-1], page.read) == (account.posts[0].text, account.posts[2].text, 3)


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("field", ["id", "type", "to", "content", "attributedTo", "summary", "published", "tag", "inReplyTo"])
def test_an_odd_post_in_an_outbox_costs_no_other(tmp_path: Path, field: str, odd: object) -> None:
    def post(number: int, **changes: object) -> dict[str, object]:
        note = {"type": "Note", "id": f"https://a.test/{number}", "content": f"The kettle has opinions, {number}.", "to": PUBLIC}
        return {"type": "Create", "actor": "https://a.test/users/wren", "to": PUBLIC, "object": note | changes}

    path = tmp_path / "outbox.json"
    path.write_text(
        json.dumps({"type": "OrderedCollection", "orderedItems": [post(1), post(2, **{field: odd}), post(3)]}), encoding="utf-8"
    )
    texts = [tweet.text for tweet in read_source(path)[1]]
    assert (texts[0], texts[-1]) == ("The kettle has opinions, 1.", "The kettle has opinions, 3.")
