"""What is asked before a training: consent, the price, a manager's approval; and mash-ups."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from bot.config import Settings
from bot.localdiscord import File, Message, Permissions
from bot.localdiscord.objects import Channel
from bot.requests import Requests
from storage.privacy import Consent
from storage.spending import SpendingStore
from tests.clock import ManualClock
from tests.cogs.town import TIMEOUT_S, TWEETS, Town, said, told_alone

OWN, AGREED, PUBLIC = "This is my account", "Its owner agreed", "An organisation, a bot or a fictional character"


@pytest.fixture
def town_settings() -> dict[str, Any]:
    return {"x_enabled": "i-have-read-the-terms", "x_bearer_token": SecretStr("made-up"), "x_monthly_budget": 40.0}


async def ask(town: Town, handle: str = "@heron", **more: Any) -> Message:
    return await (await town.alice.slash("train", {"handle": handle, "archive": TWEETS, **more}, channel=town.channel)).done(TIMEOUT_S)


async def becomes(town: Town, message: Message, part: str) -> Message:
    """The same message, once it says something else."""
    return await town.alice.wait_for(message.channel, lambda now: now.id == message.id and part in now.content, TIMEOUT_S)


async def consents(town: Town) -> list[Consent]:
    rows = await town.app.database.fetch_all("SELECT * FROM consents ORDER BY id")
    return [Consent(**dict(row)) for row in rows]


def labels(message: Message) -> list[str]:
    return [button.label for button in message.buttons]


@pytest.mark.parametrize(("label", "basis"), [(OWN, "own"), (AGREED, "agreed"), (PUBLIC, "public")])
async def test_train_asks_what_entitles_and_keeps_who_said_it_when_and_where(town: Town, label: str, basis: str) -> None:
    question = await ask(town)
    assert not question.ephemeral
    assert "What entitles you" in question.content
    assert labels(question) == [OWN, AGREED, PUBLIC, "Cancel"]
    assert not await town.app.queue.list(town.guild.id)
    assert not await consents(town)
    await town.alice.click(question, label)
    shown = await becomes(town, question, "Queued, 1st")
    assert labels(shown) == ["Cancel"]
    [job] = await town.app.queue.list(town.guild.id)
    [consent] = await consents(town)
    assert (consent.handle, consent.basis, consent.user_id) == ("heron", basis, town.alice.id)
    assert (consent.guild_id, consent.channel_id, consent.job_id) == (town.guild.id, town.channel.id, job.id)
    async with asyncio.timeout(TIMEOUT_S):
        while (await town.app.queue.get(job.id, guild_id=town.guild.id)).message_id != question.id:
            await asyncio.sleep(0.01)
    assert town.uploads() == [Path(job.source_path)]


async def test_consent_that_is_given_with_the_command_is_not_asked_for(town: Town) -> None:
    message = await ask(town, consent="agreed")
    assert "Queued, 1st" in message.content
    assert [consent.basis for consent in await consents(town)] == ["agreed"]


async def test_nobody_else_answers(town: Town) -> None:
    question = await ask(town)
    assert f"Only <@{town.alice.id}>" in await told_alone(await town.mayor.click(question, OWN))
    assert f"Only <@{town.alice.id}>" in await told_alone(await town.world.user("stranger").click(question, "Cancel"))
    assert not await town.app.queue.list(town.guild.id)


async def test_a_question_that_is_cancelled_leaves_nothing(town: Town) -> None:
    question = await ask(town)
    await town.alice.click(question, "Cancel")
    closed = await becomes(town, question, "Not learned")
    assert not closed.buttons
    assert not town.uploads()


async def test_an_answer_survives_the_commands_token_and_is_taken_once(town: Town) -> None:
    question = await ask(town)
    town.world.clock.advance(16 * 60)
    first, second = await asyncio.gather(town.alice.click(question, OWN), town.alice.click(question, AGREED))
    await becomes(town, question, "Queued")
    for reply in (first, second):
        await reply.done(TIMEOUT_S)
    assert len(await town.app.queue.list(town.guild.id)) == 1
    assert len(await consents(town)) == 1


async def test_what_is_not_answered_for_a_week_is_dropped(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    question = await ask(town)
    later = ManualClock(town.app.clock.now() + timedelta(days=7, minutes=1))
    monkeypatch.setattr(town.app.requests, "_clock", later)
    assert await town.app.requests.expire() == 1
    assert not town.uploads()
    assert "7 days" in await told_alone(await town.alice.click(question, OWN))


async def test_without_tweets_the_way_to_them_is_told(town: Town) -> None:
    told = await said(await town.alice.slash("train", {"handle": "heron"}, channel=town.channel))
    for part in ("Download an archive", "tweets.js", "note-tweet.js", "mynah train @handle --from archive.zip"):
        assert part in told
    assert len(told) < 2000


async def test_an_archive_without_an_account_is_refused(town: Town) -> None:
    assert "name the account" in (await ask(town, second_archive=TWEETS)).content
    assert not town.uploads()


@pytest.mark.parametrize(("service", "part"), [("mastodon", "MASTODON_INSTANCES"), ("x", "X_BEARER_TOKEN")])
async def test_a_service_that_the_operator_does_not_let_be_asked(
    town: Town, monkeypatch: pytest.MonkeyPatch, service: str, part: str
) -> None:
    monkeypatch.setattr(town.app.intake, "_settings", Settings(_env_file=None, x_enabled="i-have-read-the-terms"))
    assert part in await said(await town.alice.slash("train", {"handle": "heron", "source": service}, channel=town.channel))
    assert not await town.app.queue.list(town.guild.id)


# What it costs.


async def test_the_price_is_told_before_it_is_spent_and_with_the_question(town: Town) -> None:
    question = await (await town.alice.slash("train", {"handle": "heron", "source": "x"}, channel=town.channel)).done(TIMEOUT_S)
    for part in ("@heron on X", "up to $16.01", "3,200 posts", "$40.00 of this month's $40.00", "What entitles you", "agrees to that"):
        assert part in question.content
    assert not await town.app.queue.list(town.guild.id)
    await town.alice.click(question, PUBLIC)
    await becomes(town, question, "Queued")
    [job] = await town.app.queue.list(town.guild.id)
    assert [(material.source, material.handle, material.file_name) for material in job.materials] == [("x", "heron", "@heron on X")]


async def test_the_price_is_asked_for_even_where_consent_was_given(town: Town) -> None:
    values = {"handle": "heron", "source": "x", "consent": "own"}
    question = await (await town.alice.slash("train", values, channel=town.channel)).done(TIMEOUT_S)
    assert "$16.01" in question.content
    assert "What entitles" not in question.content
    assert labels(question) == ["Read it", "Cancel"]
    assert not await town.app.queue.list(town.guild.id)
    await town.alice.click(question, "Read it")
    await becomes(town, question, "Queued")
    assert [consent.basis for consent in await consents(town)] == ["own"]


@pytest.mark.parametrize(("spent", "told"), [(30.0, "refused when there are more posts"), (40.0, "$0.00 of this month's $40.00 are left")])
async def test_when_little_is_left_of_the_budget_that_is_told(town: Town, spent: float, told: str) -> None:
    async with town.app.database.transaction() as tx:
        await SpendingStore(town.app.database).add(tx, f"{town.app.clock.now():%Y-%m}", posts=1, users=1, usd=spent)
    question = await (await town.alice.slash("train", {"handle": "heron", "source": "x"}, channel=town.channel)).done(TIMEOUT_S)
    assert told in question.content
    assert (OWN in labels(question)) == (spent < 40)


# Mash-ups.


async def test_a_mash_up_is_one_character_of_all_its_accounts(town: Town) -> None:
    question = await ask(town, second="@Egret", second_archive=File("tweets.txt", b"I am white.\n"), third="bittern", third_archive=TWEETS)
    assert "@bittern, @egret and @heron tweet" in question.content
    assert labels(question) == ["These are my accounts", "Their owners agreed", "Organisations, bots or fictional characters", "Cancel"]
    await town.alice.click(question, "Their owners agreed")
    await becomes(town, question, "Queued")
    [job] = await town.app.queue.list(town.guild.id)
    assert job.handle == "bittern+egret+heron"
    assert [(material.handle, job.path_of(material).read_bytes()) for material in job.materials] == [
        ("heron", TWEETS.data),
        ("egret", b"I am white.\n"),
        ("bittern", TWEETS.data),
    ]
    assert [(consent.handle, consent.basis) for consent in await consents(town)] == [
        ("heron", "agreed"),
        ("egret", "agreed"),
        ("bittern", "agreed"),
    ]


async def test_a_mash_up_of_a_file_and_a_service(town: Town) -> None:
    message = await ask(town, second="alice.bsky.social", source="bluesky", consent="own")
    assert "Queued" in message.content
    [job] = await town.app.queue.list(town.guild.id)
    assert [material.source for material in job.materials] == ["file", "bluesky"]
    assert job.handle == "alice.bsky.social+heron"


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"second": "heron", "second_archive": TWEETS}, "different"),
        ({"second": "egret"}, "@egret"),
        ({"source": "x"}, "leave out one"),
    ],
)
async def test_what_is_no_mash_up_leaves_nothing(town: Town, more: dict[str, Any], part: str) -> None:
    assert part in (await ask(town, **more)).content
    assert not town.uploads()
    assert not await town.app.queue.list(town.guild.id)


async def test_a_mash_up_speaks_as_a_cyborg(town: Town) -> None:
    await town.add_character("egret+heron", "Egret & Heron")
    choices = await town.alice.autocomplete("say", {"character": "egr"}, focused="character", channel=town.channel)
    assert [choice.value for choice in choices] == ["egret+heron"]
    await said(await town.alice.slash("say", {"character": "heron+egret", "seed": 7}, channel=town.channel))
    [post] = [message for message in town.alice.read(town.channel) if message.is_webhook]
    assert post.author_name == "Egret & Heron (AI cyborg)"
    assert post.content.endswith("-# AI · not written by @egret or @heron")
    card = await (await town.alice.slash("character info", {"character": "egret+heron"}, channel=town.channel)).done(TIMEOUT_S)
    assert "Said" in await said(await town.alice.click(card, "Say"))


# Approval.


async def set_approval(town: Town) -> Message:
    """A channel for the managers, in which they approve every training."""
    office = town.world.add_channel(town.guild, "office")
    values = {"channel": office, "approval": True}
    return await (await town.mayor.slash("settings moderation", values, channel=town.channel)).done(TIMEOUT_S)


async def to_approve(town: Town) -> Message:
    office = next(channel for channel in town.guild.channels.values() if channel.name == "office")
    return await town.mayor.wait_for(office, lambda message: "Approve" in labels(message), TIMEOUT_S)


async def test_a_manager_approves_in_the_channel_for_it(town: Town) -> None:
    settings = await set_approval(town)
    assert settings.ephemeral
    assert "approval: yes" in settings.content
    question = await ask(town)
    await town.alice.click(question, AGREED)
    await becomes(town, question, "asked to approve it")
    asked = await to_approve(town)
    assert "its owner agreed" in asked.content
    assert not await town.app.queue.list(town.guild.id)
    assert "Manage Server" in await told_alone(await town.alice.click(asked, "Approve"))
    await town.mayor.click(asked, "Approve")
    await town.mayor.wait_for(asked.channel, lambda now: now.id == asked.id and "Approved by" in now.content, TIMEOUT_S)
    job_message = await town.alice.wait_for(town.channel, lambda message: "Queued, 1st" in message.content, TIMEOUT_S)
    assert labels(job_message) == ["Cancel"]
    [job] = await town.app.queue.list(town.guild.id)
    assert (job.user_id, job.channel_id) == (town.alice.id, town.channel.id)
    assert [(consent.basis, consent.user_id) for consent in await consents(town)] == [("agreed", town.alice.id)]


async def test_a_manager_denies_and_the_channel_hears_of_it(town: Town) -> None:
    await set_approval(town)
    await ask(town, consent="own")
    await town.mayor.click(await to_approve(town), "Deny")
    told = await town.alice.wait_for(town.channel, lambda message: "did not approve" in message.content, TIMEOUT_S)
    assert "@heron" in told.content
    assert not town.uploads()
    assert not await town.app.queue.list(town.guild.id)


async def test_what_waits_is_shown_with_the_settings(town: Town) -> None:
    await set_approval(town)
    await ask(town, consent="own")
    shown = await said(await town.mayor.slash("settings show", channel=town.channel))
    assert "Waiting for approval: 1" in shown
    assert "@heron" in shown


async def told_of_it(town: Town, channel: Channel) -> None:
    """Wait until the bot knows who may do what in the channel."""
    async with asyncio.timeout(TIMEOUT_S):
        while not getattr(town.bot.get_channel(channel.id), "overwrites", None):
            await asyncio.sleep(0.01)


async def test_managers_choose_a_channel_in_which_mynah_may_write(town: Town) -> None:
    application = next(iter(town.world.applications.values()))
    office = town.world.add_channel(town.guild, "office")
    office.deny(application, Permissions.SEND_MESSAGES)
    town.world.tell_channel(office)
    await told_of_it(town, office)
    assert "may not write" in await said(await town.mayor.slash("settings moderation", {"channel": office}, channel=town.channel))
    assert "needs a channel" in await said(await town.mayor.slash("settings moderation", {"approval": True}, channel=town.channel))


async def test_requests_of_before_a_restart_are_approved_after_it(town: Town) -> None:
    await set_approval(town)
    await ask(town, consent="own")
    asked = await to_approve(town)
    app = town.app
    app.requests = Requests(
        database=app.database,
        queue=app.queue,
        uploads=app.uploads,
        settings=app.settings,
        clock=app.clock,
        wake_poster=app.poster.wake,
    )
    await town.mayor.click(asked, "Approve")
    await town.alice.wait_for(town.channel, lambda message: "Queued, 1st" in message.content, TIMEOUT_S)
