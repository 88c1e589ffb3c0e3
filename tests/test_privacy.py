"""Who may be learned from, who said so, and what is held about a person."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.digests import digest
from bot.errors import BadInput, NotAllowed, NotFound
from bot.handles import normalise
from bot.privacy import Privacy
from storage import holdings
from storage.characters import CharacterStore
from storage.posts import PostStore
from storage.privacy import PrivacyStore
from storage.requests import RequestStore
from tests.contracts.fake_executor import hang
from tests.desk import NOON, Desk, at_work, desk
from tests.forgotten_home import ALICE, BOB, CHANNEL, CLOCK, GUILD, learn, say, sentence
from tests.records import training_of


@pytest.fixture
async def one(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk(tmp_path) as made:
        yield made


def privacy_of(one: Desk) -> Privacy:
    made = Privacy(database=one.database, clock=CLOCK)
    made.halt = one.queue.halt
    return made


async def look(one: Desk, sql: str) -> list[Any]:
    return [row[0] if len(row) == 1 else tuple(row) for row in await one.database.fetch_all(sql)]


@settings(max_examples=8, deadline=None)
@given(st.from_regex(r"[a-z0-9_]{1,15}", fullmatch=True))
def test_every_spelling_of_a_handle_has_one_digest(handle: str) -> None:
    spelt = [f"@{handle}", handle.upper(), f"  {handle} "]
    assert {digest(normalise(spelling), "salt") for spelling in spelt} == {digest(handle, "salt")}
    assert digest(handle, "salt") != digest(handle, "other salt")
    assert digest(handle, "salt") != digest(f"{handle}_", "salt")


async def test_an_opted_out_account_is_refused_everywhere_in_every_spelling(one: Desk) -> None:
    privacy = privacy_of(one)
    await privacy.check(["heron", "wren"])
    done = await privacy.opt_out("https://x.com/Heron", guild_id=GUILD, user_id=BOB)
    assert (done.handle, done.characters, done.jobs, done.requests, done.already) == ("heron", 0, 0, 0, False)
    for handles in (["heron"], ["wren", "heron"]):
        with pytest.raises(NotAllowed, match=r"@heron has opted out: .* with /privacy opt-in, or the operator"):
            await privacy.check(handles)
    await privacy.check(["wren"])
    (salt,), digests = await privacy.digests()
    assert digests == (digest("heron", salt),)
    assert (await privacy.opt_out("heron", guild_id=1, user_id=ALICE)).already


async def test_a_worker_is_told_every_salt_that_a_digest_may_have(one: Desk) -> None:
    privacy, store = privacy_of(one), PrivacyStore(one.database)
    assert await privacy.digests() == ((), ())
    await privacy.opt_out("heron", guild_id=GUILD, user_id=BOB)
    async with one.database.transaction() as tx:
        await store.add_salts(tx, ["older"])
        await store.add_opt_out(tx, digest("wren", "older"), user_id=BOB, now=one.clock.now())
    salts, digests = await privacy.digests()
    assert set(digests) == {digest("heron", salts[0]), digest("wren", salts[1])}


async def test_nothing_but_a_digest_is_kept_of_who_opted_out(one: Desk) -> None:
    await privacy_of(one).opt_out("heron", guild_id=GUILD, user_id=BOB)
    assert "heron" not in str([await look(one, f"SELECT * FROM {table}") for table in ("opt_outs", "facts")])  # noqa: S608
    assert "heron" not in (one.home / "privacy.json").read_text()
    assert (one.home / "privacy.json").stat().st_mode & 0o77 == 0


async def test_only_who_said_so_takes_it_back_or_the_operator(one: Desk) -> None:
    privacy = privacy_of(one)
    with pytest.raises(NotFound, match="has not opted out"):
        await privacy.opt_in("heron", BOB)
    for who in (BOB, 0):
        await privacy.opt_out("heron", guild_id=GUILD, user_id=BOB)
        with pytest.raises(NotAllowed, match="Only whoever opted @heron out"):
            await privacy.opt_in("heron", ALICE)
        await privacy.opt_in("@HERON", who)
        await privacy.check(["heron"])
        assert json.loads((one.home / "privacy.json").read_text())["opt_outs"] == []


async def test_characters_of_it_fall_silent_and_speak_again(one: Desk) -> None:
    privacy, characters = privacy_of(one), CharacterStore(one.database)
    for handle, guild in (("heron", 7), ("heron", 12), ("heron+wren", 7), ("wren", 7), ("herons", 7)):
        await learn(one, handle, guild_id=guild)
    ids = {c.handle: c.id for c in await characters.list_all() if c.guild_id == 7}
    promised = [await say(one, ids["heron"], "heron", n, state=state) for n, state in enumerate(("due", "pending", "sending", "sent"))]
    done = await privacy.opt_out("heron", guild_id=GUILD, user_id=BOB)
    assert done.characters == 3
    silent = {(c.guild_id, c.handle) for c in await characters.list_all() if c.silenced}
    assert silent == {(7, "heron"), (12, "heron"), (7, "heron+wren")}
    states = [post.state for post in [await PostStore(one.database).get(number) for number in promised] if post]
    assert states == ["failed", "failed", "sending", "sent"]
    await privacy.opt_out("wren", guild_id=GUILD, user_id=ALICE)
    await privacy.opt_in("heron", BOB)
    reasons = {(c.guild_id, c.handle): c.silenced for c in await characters.list_all() if c.silenced}
    assert set(reasons) == {(7, "heron+wren"), (7, "wren")}
    assert "@wren" in str(reasons[7, "heron+wren"])
    await privacy.opt_in("wren", ALICE)
    assert not [c for c in await characters.list_all() if c.silenced]


async def test_what_is_queued_running_or_asked_for_is_dropped(tmp_path: Path) -> None:
    async with desk(tmp_path, hang) as one:
        privacy = privacy_of(one)
        async with at_work(one):
            running = (await one.ask()).job
            await one.reaches(running.id, "running")
            await one.executor.running.wait()
            queued, other = (await one.ask(guild_id=12)).job, (await one.ask("wren")).job
            upload = one.upload()
            async with one.database.transaction() as tx:
                await RequestStore(one.database).insert(
                    tx, guild_id=7, channel_id=8, user_id=9, training=training_of("heron", upload), basis="own", dedupe_key="r", now=NOON
                )
            done = await privacy.opt_out("heron", guild_id=GUILD, user_id=BOB)
            assert (done.jobs, done.requests) == (2, 1)
            assert one.executor.cancelled == [f"{running.id}-a1"]
            assert {(await one.job(job.id)).state for job in (running, queued)} == {"cancelled"}
            assert not upload.exists()
            assert (
                not any(
                    "heron" in path or path.startswith(("uploads/u", f"jobs/{running.id}/")) for path in one.files() if "wren" not in path
                )
                or (await one.job(other.id)).is_open
            )
            await one.reaches(other.id, "succeeded")
        assert await look(one, "SELECT state FROM requests") == ["withdrawn"]


async def test_a_mash_up_is_no_account_to_opt_out(one: Desk) -> None:
    with pytest.raises(BadInput, match="mash-up of 2 accounts"):
        await privacy_of(one).opt_out("a+b", guild_id=GUILD, user_id=BOB)


async def test_a_report_needs_a_reason(one: Desk) -> None:
    privacy = privacy_of(one)
    with pytest.raises(BadInput, match="needs a reason"):
        await privacy.report(guild_id=GUILD, channel_id=CHANNEL, user_id=BOB, reason="  ")
    report = await privacy.report(guild_id=GUILD, channel_id=CHANNEL, user_id=BOB, reason="It is rude." * 500, handle="heron")
    assert (report.handle, report.post_id, len(report.reason), report.user_id) == ("heron", None, 1000, BOB)


async def test_my_data_has_everything_with_my_id_and_the_tweets_of_my_accounts(one: Desk) -> None:
    privacy = privacy_of(one)
    heron, wren = await learn(one, "heron"), await learn(one, "wren", user_id=BOB)
    await say(one, heron, "heron", 1)
    await say(one, wren, "wren", 2, by=BOB)
    async with one.database.transaction() as tx:
        for handle, user in (("heron", ALICE), ("wren", BOB)):
            await privacy.record(tx, handles=[handle], basis="own", guild_id=GUILD, channel_id=CHANNEL, user_id=user, job_id=1, now=NOON)
    await privacy.report(guild_id=GUILD, channel_id=CHANNEL, user_id=ALICE, reason="It is rude.", handle="wren")
    await privacy.opt_out("rook", guild_id=GUILD, user_id=ALICE)
    held = json.loads(await privacy.my_data(ALICE))
    assert held["discord_user"] == ALICE
    assert {key: len(held[key]) for key in ("consents", "characters", "jobs", "posts", "reports", "opt_outs", "schedules")} == {
        "consents": 2, "characters": 1, "jobs": 1, "posts": 1, "reports": 1, "opt_outs": 1, "schedules": 0,
    }  # fmt: skip
    (account,) = held["own_accounts"]
    assert account["handle"] == "heron"
    assert [tweet["text"] for tweet in account["tweets"]] == [sentence("heron", number) for number in range(40)]
    assert {key: len(account[key]) for key in ("characters", "models", "corpora", "posts")} == dict.fromkeys(
        ("characters", "models", "corpora", "posts"), 1
    )
    assert "wren" not in json.dumps({**held, "reports": []})
    assert json.loads(await privacy.my_data(12345))["own_accounts"] == []


async def test_every_column_with_a_user_is_in_my_data(one: Desk) -> None:
    """So that a table that is added later is not forgotten there."""
    told = " ".join(holdings._ABOUT.values())
    rows = await one.database.fetch_all(
        """SELECT t.name AS tbl, c.name AS col FROM sqlite_master AS t, pragma_table_info(t.name) AS c
           WHERE t.type = 'table' AND c.name IN ('user_id', 'created_by', 'set_by', 'decided_by', 'recipient_id')"""
    )
    for row in rows:
        if row["tbl"] != "erasure_messages":  # whose message is deleted: it is gone with it
            assert f"FROM {row['tbl']}" in told
            assert f"{row['col']} = ?1" in told
