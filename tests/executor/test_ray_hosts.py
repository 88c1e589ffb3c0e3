"""The cluster on hosts of their own, with lines between them that are really cut: no packet comes through, and no process is harmed."""

import contextlib
import importlib.util
import json
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.executor import files
from bot.executor.fence import Fence
from storage.characters import CharacterStore
from storage.database import Database
from storage.models import ModelStore
from tests.clock import ManualClock
from tests.desk import NOON, Desk, at_work
from tests.executor.cluster import Cluster
from tests.executor.hosts import Hosts
from tests.executor.scene import Job, alive, until

_PATIENT = {"RAY_health_check_failure_threshold": "20"}
"""A node is lost after 6 to 12 seconds: a line that is cut for less than half of that must change nothing."""


@dataclass
class Apart:
    """A cluster on two hosts, and the lines between."""

    cluster: Cluster
    hosts: Hosts


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    """Started once; skipped, and counted, where Ray is not installed or network namespaces may not be made."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs the extra ray (pip install mynah[ray]), which is not here")
    if shutil.which("ip") is None:
        pytest.skip("needs the command ip (iproute2), which is not here")
    hosts = Hosts()
    cluster = Cluster((hosts.head, hosts.node), undo=hosts.undo, settings=_PATIENT)
    try:
        for command in hosts.make:
            code, said = cluster.do(*command)
            if code != 0:
                pytest.skip(f"needs network namespaces, which may not be made here: {' '.join(command)} says {said.strip()}")
        cluster.start_head()
        cluster.start_node()
        yield Apart(cluster, hosts)
    finally:
        cluster.stop()


@contextlib.asynccontextmanager
async def bot(apart: Apart, home: Path) -> AsyncIterator[Desk]:
    """A bot on its own host, which shares its disk with the others."""
    database = await Database.open(home / "mynah.sqlite3")
    executor = apart.cluster.executor()
    try:
        yield Desk(home, database, ManualClock(NOON), executor)  # type: ignore[arg-type]  # a real one
    finally:
        await executor.close()
        await database.close()


async def asked(one: Desk, step_s: float = 0.2) -> tuple[int, Job]:
    """Ask for a training of 40 steps; its number, and what can be seen of its workers."""
    tweets = one.upload()
    job_id = (await one.ask(path=tweets)).job.id
    pace(tweets, step_s)
    return job_id, Job(one.home / "jobs" / str(job_id), "count")


def pace(tweets: Path, step_s: float) -> None:
    """How long each step of a worker takes that begins from now on."""
    tweets.write_text(json.dumps({"do": "count", "step_s": step_s}))


async def kept(one: Desk, job_id: int) -> tuple[str, int, int, str | None]:
    """How the job stands: state, attempts, how many of them were counted, and why."""
    job = await one.job(job_id)
    return job.state, job.attempt, job.charged, job.reason


async def models(one: Desk) -> list[str]:
    """Of which attempts there are models, by what stands in them; every one is told to the channel once."""
    characters = await CharacterStore(one.database).list(7)
    found = [model for character in characters for model in await ModelStore(one.database).list(character.id)]
    assert len(await one.results()) == len(found)
    weights = sorted((one.home / "models").glob("*/*/adapter_model.safetensors"))
    assert len(weights) == len(found)
    return [path.read_text().rpartition("-")[2] for path in weights]


def said(one: Desk) -> str:
    return " ".join(progress.note for _, progress in one.told if progress and progress.note)


@pytest.mark.fault(30)
async def test_a_line_to_the_node_that_stays_cut_costs_one_attempt_and_leaves_one_model(apart: Apart, tmp_path: Path) -> None:
    """When the line to a node is cut for long, another attempt begins, the old worker stops itself, and one of them makes the one model."""
    async with bot(apart, tmp_path) as one:
        job_id, seen = await asked(one, step_s=1)
        async with at_work(one):
            await until(lambda: seen.step() >= 2)
            (old,) = seen.pids()
            pace(Path((await one.job(job_id)).source_path), 0.1)
            with apart.hosts.cut("to-node"):
                cut_at = seen.step()
                await until(lambda: seen.step() > cut_at)
                assert alive(old), "nobody can tell it"
                await until(lambda: Fence(seen.folder).number() == 2, seconds=60)
                await until(lambda: not alive(old))
                assert seen.pids() == [old], "the next attempt waits for a node"
                reached = seen.step()
            assert files.read_result(seen.folder / "a1") is None
            await apart.cluster.renew_node()
            started_at = seen.folder / "a2" / "started_at"
            await until(lambda: started_at.exists() and started_at.read_text() != "", seconds=60)
            assert int(started_at.read_text()) == reached
            await one.reaches(job_id, "succeeded", "failed")
        assert (await kept(one, job_id))[:3] == ("succeeded", 2, 1)
        assert await models(one) == ["a2"]


@pytest.mark.fault(31)
async def test_a_training_that_would_begin_while_the_line_to_the_head_is_cut_waits(apart: Apart, tmp_path: Path) -> None:
    """A training whose turn comes while the line from the bot to the head is cut waits, says why, and costs no attempt."""
    async with bot(apart, tmp_path) as one:
        job_id, seen = await asked(one, step_s=0)
        with apart.hosts.cut("to-bot"):
            await one.runner.run_one(job_id)
            state, _, charged, reason = await kept(one, job_id)
            assert (state, charged) == ("waiting", 0)
            assert f"The Ray cluster at {apart.cluster.address} does not answer" in (reason or "")
            assert seen.pids() == []
        await until(apart.cluster.answers)
        await one.runner.run_one(job_id)
        assert (await kept(one, job_id))[:3] == ("succeeded", 2, 0)
        assert await models(one) == ["a2"]


@pytest.mark.fault(30, 31)
async def test_a_training_goes_on_while_a_line_is_cut(apart: Apart, tmp_path: Path) -> None:
    """While the line to its node is cut briefly, or the bot's to the head for long, a training goes on, says so, and gives its result."""
    async with bot(apart, tmp_path) as one:
        job_id, seen = await asked(one)
        async with at_work(one):
            await until(lambda: seen.step() >= 2)
            with apart.hosts.cut("to-node"):
                cut_at = seen.step()
                await until(lambda: seen.step() > cut_at + 15)
            assert len(seen.pids()) == 1
            with apart.hosts.cut("to-bot"):
                await until((seen.folder / "a1" / files.RESULT).exists)
                await until(lambda: "does not answer" in said(one), seconds=60)
                assert (await kept(one, job_id))[:3] == ("running", 1, 0)
            await one.reaches(job_id, "succeeded", "failed")
        assert (await kept(one, job_id))[:3] == ("succeeded", 1, 0)
        assert await models(one) == ["a1"]
