"""What people are asked and told about accounts: all of it fits into one message, and nothing in it breaks out."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import questions, receipts
from bot.forgotten import Receipt
from bot.handles import LONGEST
from bot.messages import CONTENT_LIMIT, Message
from bot.privacy import OptedOut
from bot.spending import Cost
from storage.guilds import GuildSettings
from storage.privacy import Report
from storage.trainings import Material
from tests import records

TEXT = st.text(alphabet=st.one_of(st.sampled_from(" \n*_~`|<>@#[]()-\\.1ab"), st.characters(exclude_categories=["Cs"])), max_size=300)
HANDLES = ("h" * LONGEST, "+".join(["h" * 25, "i" * 25, "j" * 25]))
COST = Cost(posts=9600, usd=48.03, spent_usd=19.5, budget_usd=60.0)


def fits(message: Message) -> bool:
    return (
        len(message.content) <= CONTENT_LIMIT
        and all(len(button.label) <= 80 and len(button.custom_id) <= 100 for button in message.buttons)
        and len(message.buttons) <= 5
    )


@given(st.lists(TEXT, min_size=1, max_size=3), st.sampled_from(HANDLES), st.sampled_from([None, "own", "agreed", "public"]), TEXT)
def test_whatever_is_asked_or_told_fits(names: list[str], handle: str, basis: Any, reason: str) -> None:
    materials = tuple(Material("heron", "file", "x", name) for name in names)
    asked = records.request(handle=handle, basis=basis, training=replace(records.request().training, materials=materials))
    settings = GuildSettings(7, 8, approval=True, set_by=9, set_at=records.NOON)
    report = Report(1, 7, 8, 9, handle, 5, reason * 10, records.NOON)
    receipt = Receipt(1, f"@{handle}", {"characters": 3}, due=3, gone=1, unreachable=2, unclean=("/x" * 700,), again=reason * 3)
    made = [
        questions.before(asked, None),
        questions.before(asked, COST),
        questions.waits(asked, 8),
        questions.approval(asked),
        questions.approved(asked, 9),
        questions.refused(asked, 9),
        questions.denied(asked),
        questions.withdrawn(asked),
        questions.settings(settings, [asked] * 100, writable=True),
        questions.undelivered(records.post(message=questions.approval(asked).to_dict()), reason * 3),
        receipts.opted_out(OptedOut("h" * LONGEST, 1, 2, 3, already=False)),
        receipts.opted_in(handle),
        receipts.ask_to_forget(handle, manages=True),
        receipts.ask_to_forget_user(9),
        receipts.forgotten(receipt),
        receipts.report(report, records.post(message_id=4)),
    ]
    assert [fits(message) for message in made] == [True] * len(made)
    assert all("@everyone" not in message.content for message in made)


@pytest.mark.parametrize("state", ["accepted", "denied", "withdrawn", "expired"])
def test_a_request_that_is_closed_says_how(state: Any) -> None:
    sentence = questions.closed(records.request(state=state))
    assert sentence.endswith(".")
    assert len(sentence) < 200


def test_what_a_price_is_asked_for_says_how_much_of_what_is_left() -> None:
    said = questions.before(records.request(basis="own"), COST)
    for part in ("$48.03", "9,600 posts", "$40.50 of this month's $60.00", "This is my account", "refused when there are more posts"):
        assert part in said.content
    assert [button.custom_id for button in said.buttons] == ["request:go:3", "request:cancel:3"]
    affordable = questions.before(records.request(basis="own"), replace(COST, spent_usd=0.0))
    assert "refused" not in affordable.content


def test_the_receipt_can_be_asked_again_while_something_is_left() -> None:
    done = Receipt(4, "@heron", {"posts": 2}, due=0, gone=2, unreachable=0)
    assert not receipts.forgotten(done).buttons
    for left in (replace(done, due=1), replace(done, again="The disk is full.")):
        assert [button.custom_id for button in receipts.forgotten(left).buttons] == ["forget:receipt:4"]


def test_managers_see_what_waits() -> None:
    settings = GuildSettings(7, None, approval=False, set_by=0, set_at=records.NOON + timedelta(days=1))
    nothing = questions.settings(settings, [], writable=False).content
    assert "none" in nothing
    assert "approval: no" in nothing
    assert "Set by" not in nothing
