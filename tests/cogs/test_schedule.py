"""/schedule as people use it; a parrot speaks for the models."""

from datetime import timedelta

import pytest

from bot.localdiscord import NotPossible
from tests.cogs.town import TIMEOUT_S, Town, said


async def test_a_schedule_is_added_listed_and_removed(town: Town) -> None:
    await town.add_character()
    values = {"character": "heron", "when": "every day at 9:00", "zone": "europe/paris", "prompt": "My"}
    assert "09:00" in await said(await town.mayor.slash("schedule add", values, channel=town.channel))
    [schedule] = await town.app.scheduler.list(town.guild.id)
    assert (schedule.cron, schedule.zone, schedule.channel_id, schedule.prompt) == ("0 9 * * *", "Europe/Paris", town.channel.id, "My")
    assert "@heron" in await said(await town.mayor.slash("schedule list", channel=town.channel))
    choices = await town.mayor.autocomplete("schedule remove", {"schedule": ""}, focused="schedule", channel=town.channel)
    assert [choice.value for choice in choices] == [schedule.id]
    assert "removed" in await said(await town.mayor.slash("schedule remove", {"schedule": schedule.id}, channel=town.channel))
    assert not await town.app.scheduler.list(town.guild.id)


async def test_a_schedule_may_have_jitter_quiet_hours_and_leave_out_what_is_missed(town: Town) -> None:
    await town.add_character()
    values = {"character": "heron", "when": "every hour", "jitter": 10, "quiet": "10 pm - 7", "missed": "skip"}
    answer = await said(await town.mayor.slash("schedule add", values, channel=town.channel))
    assert "up to 10 min later · quiet 22:00-07:00 · what is missed is left out · next" in answer
    [schedule] = await town.app.scheduler.list(town.guild.id)
    assert (schedule.jitter_s, schedule.quiet, schedule.policy) == (600, "22:00-07:00", "skip")
    refused = await said(await town.mayor.slash("schedule add", {**values, "quiet": "at night"}, channel=town.channel))
    assert "try 22-7" in refused


async def test_a_slot_is_posted_in_the_channel_in_character(town: Town) -> None:
    await town.add_character()
    await said(await town.mayor.slash("schedule add", {"character": "heron", "when": "every hour", "prompt": "My"}, channel=town.channel))
    [schedule] = await town.app.scheduler.list(town.guild.id)
    async with town.app.database.transaction() as tx:
        past = (schedule.next_at - timedelta(hours=1)).isoformat(timespec="microseconds")
        await tx.execute("UPDATE schedules SET next_at = ?", (past,))
    assert await town.app.scheduler.tick() == 1
    post = await town.alice.wait_for(town.channel, lambda message: message.is_webhook, TIMEOUT_S)
    assert (post.author_name, post.content.split("\n")[0]) == ("Heron (AI)", "My parrot 1000")


@pytest.mark.parametrize(("option", "value"), [("when", "sometimes"), ("zone", "Middle Earth"), ("when", "* * * * *")])
async def test_a_schedule_that_cannot_be_is_refused_in_a_sentence(town: Town, option: str, value: str) -> None:
    await town.add_character()
    reply = await town.mayor.slash("schedule add", {"character": "heron", "when": "every day at 9:00", option: value}, channel=town.channel)
    assert "(id " not in await said(reply)
    assert not await town.app.scheduler.list(town.guild.id)


async def test_times_and_zones_are_offered_while_typing(town: Town) -> None:
    times = await town.mayor.autocomplete("schedule add", {"character": "x", "when": "every day"}, focused="when", channel=town.channel)
    assert "every day at 9:00" in [choice.value for choice in times]
    zones = await town.mayor.autocomplete(
        "schedule add", {"character": "x", "when": "x", "zone": "toky"}, focused="zone", channel=town.channel
    )
    assert zones[0].value == "Asia/Tokyo"


async def test_schedules_are_for_those_who_manage_the_server(town: Town) -> None:
    with pytest.raises(NotPossible):
        await town.alice.slash("schedule list", channel=town.channel)
