"""Trainings that may not begin yet: said, approved, denied, dropped, and begun once."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.config import Settings
from bot.errors import BadInput, NotAllowed, NotFound
from bot.jobs import Queued
from bot.requests import KEPT, Requests
from bot.uploads import Uploads
from storage.posts import Post
from storage.requests import Request
from storage.trainings import Training
from tests.desk import Desk, desk
from tests.records import training_of

GUILD, CHANNEL, MANAGERS = 7, 8, 88
ALICE, BOB, MAYOR = 9, 10, 11


def office(one: Desk, **settings: Any) -> Requests:
    """What the bot would have; a second one is the bot after a restart."""
    return Requests(
        database=one.database,
        queue=one.queue,
        uploads=Uploads(one.home),
        settings=Settings(_env_file=None, mynah_home=one.home, **settings),
        clock=one.clock,
        wake_poster=lambda: None,
    )


def wish(one: Desk, handle: str = "heron") -> Training:
    return training_of(handle, one.upload())


async def asked(one: Desk, requests: Requests, handle: str = "heron", *, user_id: int = ALICE, key: str = "", **more: Any) -> Request:
    return await requests.ask(
        wish(one, handle), guild_id=GUILD, channel_id=CHANNEL, user_id=user_id, dedupe_key=key or f"interaction:{handle}:{user_id}", **more
    )


async def said(
    requests: Requests, request: Request, basis: Any = "own", *, user_id: int = ALICE, manages: bool = False
) -> Request | Queued:
    return await requests.declare(request.id, basis, guild_id=GUILD, user_id=user_id, manages=manages)


async def notices(one: Desk) -> list[Post]:
    return [post for post in await one.posts.in_state("pending") if post.kind == "notice"]


def kept(of: Request | Training) -> bool:
    """Whether what was uploaded for it still lies there."""
    return Path((of.training if isinstance(of, Request) else of).source_path).exists()


async def consents(one: Desk) -> list[tuple[str, str, int, int]]:
    """Handle, basis, user and job."""
    rows = await one.database.fetch_all("SELECT handle, basis, user_id, job_id FROM consents ORDER BY id")
    return [tuple(row) for row in rows]


async def test_nothing_is_queued_before_somebody_says_what_entitles_them(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        request = await asked(one, requests)
        assert (request.state, request.basis, kept(request)) == ("asked", None, True)
        assert not await one.queue.list(GUILD)
        with pytest.raises(BadInput, match="what entitles you"):
            await said(requests, request, None)
        begun = await said(requests, request, "agreed")
        assert isinstance(begun, Queued)
        assert (begun.job.handle, begun.job.user_id, begun.job.channel_id) == ("heron", ALICE, CHANNEL)
        assert begun.job.source_path == request.training.source_path
        assert await consents(one) == [("heron", "agreed", ALICE, begun.job.id)]
        assert (await requests.get(request.id, guild_id=GUILD)).state == "accepted"


async def test_only_the_one_who_asked_answers(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        request = await asked(one, requests)
        with pytest.raises(NotAllowed, match="<@9>"):
            await said(requests, request, user_id=BOB)
        with pytest.raises(NotFound):
            await requests.declare(request.id, "own", guild_id=70, user_id=ALICE, manages=False)
        assert not await one.queue.list(GUILD)


async def test_answers_that_come_twice_give_one_job(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        request = await asked(one, requests)
        results = await asyncio.gather(*(said(requests, request) for _ in range(3)), return_exceptions=True)
        assert [isinstance(result, Queued) for result in results] == [True, False, False]
        assert "queued" in str(results[1])
        assert len(await one.queue.list(GUILD)) == 1


async def test_the_same_command_twice_is_one_request_and_one_upload(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        where: dict[str, Any] = {"guild_id": GUILD, "channel_id": CHANNEL, "user_id": ALICE, "dedupe_key": "interaction:1"}
        first, second = wish(one), wish(one)
        for training in (first, second):
            begun = await requests.begin(training, **where, basis=None, confirm=False, manages=False)
            assert isinstance(begun, Request)
            assert begun.training == first
        assert [kept(training) for training in (first, second)] == [True, False]


async def test_who_says_it_at_once_is_not_asked_unless_it_costs(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        where: dict[str, Any] = {"guild_id": GUILD, "channel_id": CHANNEL, "user_id": ALICE}
        begun = await requests.begin(wish(one), **where, dedupe_key="1", basis="own", confirm=False, manages=False)
        assert isinstance(begun, Queued)
        waits = await requests.begin(wish(one, "egret"), **where, dedupe_key="2", basis="own", confirm=True, manages=False)
        assert isinstance(waits, Request)
        assert (waits.state, waits.basis) == ("asked", "own")
        confirmed = await said(requests, waits, None)
        assert isinstance(confirmed, Queued)
        assert [basis for _, basis, *_ in await consents(one)] == ["own", "own"]


async def test_what_the_queue_refuses_at_once_leaves_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path, jobs_per_member=1) as one:
        requests = office(one, jobs_per_member=1)
        where: dict[str, Any] = {
            "guild_id": GUILD,
            "channel_id": CHANNEL,
            "user_id": ALICE,
            "basis": "own",
            "confirm": False,
            "manages": False,
        }
        await requests.begin(wish(one), **where, dedupe_key="1")
        training = wish(one, "egret")
        with pytest.raises(NotAllowed, match="1 is the most"):
            await requests.begin(training, **where, dedupe_key="2")
        assert not kept(training)


async def test_what_the_queue_refuses_later_can_be_answered_again(tmp_path: Path) -> None:
    async with desk(tmp_path, jobs_per_member=1) as one:
        requests = office(one, jobs_per_member=1)
        first = await one.ask("egret")
        request = await asked(one, requests)
        with pytest.raises(NotAllowed, match="1 is the most"):
            await said(requests, request)
        await one.queue.cancel(first.job.id, guild_id=GUILD, by=ALICE)
        assert isinstance(await said(requests, request), Queued)


async def test_an_account_that_opts_out_meanwhile_is_refused(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        request = await asked(one, requests)
        await one.opted_out("heron")
        with pytest.raises(NotAllowed, match="opted out"):
            await said(requests, request)
        assert not await one.queue.list(GUILD)


async def approved_server(one: Desk) -> Requests:
    requests = office(one)
    await requests.set_moderation(GUILD, channel_id=MANAGERS, approval=True, by=MAYOR)
    return requests


async def test_a_manager_approves(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = await approved_server(one)
        request = await asked(one, requests)
        with pytest.raises(BadInput, match="has not said"):
            await requests.approve(request.id, guild_id=GUILD, by=MAYOR)
        waits = await said(requests, request, "public")
        assert isinstance(waits, Request)
        assert (waits.state, waits.basis) == ("approval", "public")
        assert not await one.queue.list(GUILD)
        [told] = await notices(one)
        assert (told.channel_id, told.message and [button["label"] for button in told.message["buttons"]]) == (
            MANAGERS,
            ["Approve", "Deny"],
        )
        assert "bot or a fictional character" in str(told.message)
        queued = await requests.approve(request.id, guild_id=GUILD, by=MAYOR)
        assert (queued.job.user_id, queued.job.channel_id) == (ALICE, CHANNEL)
        assert await consents(one) == [("heron", "public", ALICE, queued.job.id)]
        assert (await requests.get(request.id, guild_id=GUILD)).decided_by == MAYOR
        with pytest.raises(BadInput, match="already"):
            await requests.deny(request.id, guild_id=GUILD, by=MAYOR)


async def test_a_manager_denies_and_the_channel_is_told(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = await approved_server(one)
        request = await asked(one, requests)
        await said(requests, request)
        await requests.deny(request.id, guild_id=GUILD, by=MAYOR)
        assert not kept(request)
        assert [post.channel_id for post in await notices(one)] == [MANAGERS, CHANNEL]
        for again in (requests.approve(request.id, guild_id=GUILD, by=MAYOR), said(requests, request)):
            with pytest.raises(BadInput, match="denied"):
                await again
        assert not await one.queue.list(GUILD)


async def test_one_of_two_managers_decides(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = await approved_server(one)
        request = await asked(one, requests)
        await said(requests, request)
        both = await asyncio.gather(
            requests.deny(request.id, guild_id=GUILD, by=MAYOR),
            requests.approve(request.id, guild_id=GUILD, by=BOB),
            return_exceptions=True,
        )
        assert [isinstance(result, BadInput) for result in both] == [False, True]
        assert not await one.queue.list(GUILD)


async def test_who_manages_the_server_needs_no_approval(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = await approved_server(one)
        request = await asked(one, requests, user_id=MAYOR)
        assert isinstance(await said(requests, request, user_id=MAYOR, manages=True), Queued)
        assert not await notices(one)


async def test_approval_that_the_queue_refuses_can_be_given_later(tmp_path: Path) -> None:
    async with desk(tmp_path, jobs_per_member=1) as one:
        requests = await approved_server(one)
        first = await one.ask("egret")
        request = await asked(one, requests)
        await said(requests, request)
        with pytest.raises(NotAllowed, match=r"<@9> cannot have it now: .*1 is the most"):
            await requests.approve(request.id, guild_id=GUILD, by=MAYOR)
        await one.queue.cancel(first.job.id, guild_id=GUILD, by=ALICE)
        assert (await requests.approve(request.id, guild_id=GUILD, by=MAYOR)).job.handle == "heron"


async def test_another_channel_is_asked_what_still_waits(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = await approved_server(one)
        request = await asked(one, requests)
        await said(requests, request)
        for _ in range(2):
            settings = await requests.set_moderation(GUILD, channel_id=89, approval=None, by=MAYOR)
        assert (settings.moderation_channel, settings.approval, settings.set_by) == (89, True, MAYOR)
        assert [post.channel_id for post in await notices(one)] == [MANAGERS, 89]
        assert [waiting.id for waiting in await requests.waiting(GUILD)] == [request.id]


async def test_approval_needs_a_channel(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        with pytest.raises(BadInput, match="channel"):
            await requests.set_moderation(GUILD, channel_id=None, approval=True, by=MAYOR)
        settings = await requests.moderation.get(GUILD)
        assert (settings.approval, settings.moderation_channel) == (False, None)


async def test_a_request_without_an_answer_is_dropped_with_its_upload(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        old = await asked(one, requests)
        one.clock.advance((KEPT - timedelta(hours=1)).total_seconds())
        young = await asked(one, requests, "egret")
        assert await requests.expire() == 0
        one.clock.advance(3600)
        assert await requests.expire() == 1
        assert [kept(request) for request in (old, young)] == [False, True]
        with pytest.raises(BadInput, match="7 days"):
            await said(requests, old)
        assert isinstance(await said(requests, young), Queued)


async def test_a_stop_between_queueing_and_closing_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        request = await asked(one, requests, key="interaction:5")
        # As if the bot had been killed right after the queue took it.
        await one.queue.enqueue(
            request.training, guild_id=GUILD, channel_id=CHANNEL, user_id=ALICE, dedupe_key="interaction:5", basis="own"
        )
        one.clock.advance(KEPT.total_seconds())
        after = office(one)
        assert await after.expire() == 0
        assert (await after.get(request.id, guild_id=GUILD)).state == "accepted"
        assert kept(request)
        assert len(await one.queue.list(GUILD)) == 1


async def test_a_member_has_so_many_questions_and_the_newest_stay(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one, jobs_per_member=2)
        first, again, second, third = [
            await asked(one, requests, handle, key=key) for handle, key in (("a", "1"), ("a", "2"), ("b", "3"), ("c", "4"))
        ]
        states = [(await requests.get(request.id, guild_id=GUILD)).state for request in (first, again, second, third)]
        assert states == ["withdrawn", "withdrawn", "asked", "asked"]
        assert [kept(request) for request in (first, again, second, third)] == [False, False, True, True]
        with pytest.raises(BadInput, match="closed"):
            await said(requests, first)


async def test_a_member_has_so_many_that_wait_for_a_manager(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one, jobs_per_member=1)
        await requests.set_moderation(GUILD, channel_id=MANAGERS, approval=True, by=MAYOR)
        await said(requests, await asked(one, requests, "a"))
        with pytest.raises(NotAllowed, match="1 is the most"):
            await asked(one, requests, "b")
        await asked(one, requests, "b", user_id=BOB)


async def test_a_request_that_joins_a_job_gives_its_upload_back(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        first = await one.ask("heron", user_id=BOB)
        request = await asked(one, requests)
        begun = await said(requests, request)
        assert isinstance(begun, Queued)
        assert (begun.joined, begun.job.id) == (True, first.job.id)
        assert not kept(request)
        assert [user_id for *_, user_id, _ in await consents(one)] == [BOB, ALICE]


async def test_what_is_withdrawn_is_gone(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        requests = office(one)
        request = await asked(one, requests)
        await requests.withdraw(request.id, guild_id=GUILD)
        assert not kept(request)
        with pytest.raises(BadInput, match="closed"):
            await requests.withdraw(request.id, guild_id=GUILD)
