"""What holds for the answer to every command, also on Discord's bad days."""

import pytest

from bot.localdiscord import Fault, Harm
from bot.localdiscord.events import Event
from bot.messages import CONTENT_LIMIT
from tests.cogs.town import TWEETS, Town, said

# Discord on a bad day.

LOST = [Harm.ERROR_AFTER, Harm.DROP_AFTER, Harm.ERROR_BEFORE, Harm.DROP_BEFORE]


@pytest.mark.fault(19)
@pytest.mark.parametrize("harm", LOST, ids=[harm.name for harm in LOST])
async def test_a_command_whose_acknowledgement_is_lost_is_done_once(town: Town, harm: Harm) -> None:
    """A command is carried out, and once, when Discord fails before or after it took the bot's acknowledgement."""
    town.world.faults.append(Fault(harm, "POST", "/callback"))
    reply = await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    assert "Queued, 1st" in await said(reply)
    assert len(await town.app.queue.list(town.guild.id)) == 1


@pytest.mark.fault(19)
@pytest.mark.parametrize("harm", LOST, ids=[harm.name for harm in LOST])
async def test_an_answer_that_is_lost_is_given_again(town: Town, harm: Harm) -> None:
    """The answer to a command is shown when Discord fails before or after it took it."""
    town.world.faults.append(Fault(harm, "PATCH", "@original"))
    assert "Queued, 1st" in await said(
        await town.alice.slash("train", {"handle": "heron", "archive": TWEETS, "consent": "own"}, channel=town.channel)
    )


@pytest.mark.fault(18)
async def test_an_interaction_that_is_delivered_twice_is_answered_once(town: Town) -> None:
    """A command or a press that Discord delivers twice is carried out once."""
    await town.add_character()
    values = {"character": "heron", "when": "every day at 9:00"}
    await said(await town.mayor.slash("schedule add", values, channel=town.channel))
    await said(await town.mayor.slash("say", {"character": "heron"}, channel=town.channel))
    again = [dispatch for dispatch in town.world.dispatches if dispatch.event == "INTERACTION_CREATE"]
    assert len(again) == 2
    for dispatch in again:
        town.world.events.emit(Event("INTERACTION_CREATE", dispatch.data, application_id=dispatch.application_id))
    assert "@heron" in await said(await town.mayor.slash("schedule list", channel=town.channel))
    assert len(await town.app.scheduler.list(town.guild.id)) == 1
    assert len([message for message in town.channel.messages.values() if message.is_webhook]) == 1


# What holds for all.


async def test_an_unknown_error_is_told_by_an_id_alone(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: int) -> None:
        raise KeyError("secret detail")

    monkeypatch.setattr(town.app.queue, "list", broken)
    answer = await said(await town.alice.slash("jobs list", channel=town.channel))
    assert "(id " in answer
    assert "secret" not in answer


async def test_everything_was_acknowledged_first_and_pinged_nobody(town: Town) -> None:
    await town.add_character(name="@everyone")
    await said(await town.alice.slash("say", {"character": "heron", "prompt": "@everyone"}, channel=town.channel))
    await said(await town.alice.slash("character info", {"character": "heron"}, channel=town.channel))
    for exchange in town.world.exchanges:
        if exchange.path.endswith("/callback"):
            assert b'"type":5' in exchange.body.replace(b" ", b"")
    for message in town.channel.messages.values():
        assert not message.pinged
        assert len(message.content) <= CONTENT_LIMIT


async def test_a_reply_that_discord_refuses_for_a_moment_is_no_silence(town: Town) -> None:
    town.world.faults.append(Fault(Harm.ERROR_BEFORE, "PATCH", "@original"))
    assert "/train" in await said(await town.alice.slash("character list", channel=town.channel))
