"""The harness itself: it finds nothing in Mynah at moments of each kind, and it finds what is wrong with outboxes that are wrong."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.chaos.__main__ import checkpoints
from tests.chaos.bots import Bots, bots
from tests.chaos.judge import Verdict
from tests.chaos.points import ASKED, FETCHED, JOB_AND_SLOT, SLOTS, SYSCALLS, WORKER, WORKER_AND_BOT, Plan, enumerate_points, has_strace
from tests.chaos.soak import soak

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ready() -> AsyncIterator[Bots]:
    """Started once: what forks the bots imports all of Mynah first."""
    async with bots() as found:
        yield found


def faultless(verdict: Verdict) -> bool:
    assert (verdict.lost, verdict.twice, verdict.bad) == ([], [], [])
    return True


@pytest.mark.fault(1)
@pytest.mark.parametrize(("plan", "step", "least"), [(JOB_AND_SLOT, 9, 10), (ASKED, 9, 10), (WORKER, 4, 4), (WORKER_AND_BOT, 4, 4)])
async def test_a_death_at_any_moment(ready: Bots, tmp_path: Path, plan: Plan, step: int, least: int) -> None:
    """A bot or a worker that is killed at any moment loses no job and no post, posts nothing twice and leaves nothing lying about."""
    verdict = await enumerate_points(ready, tmp_path, [plan], step=step)
    assert faultless(verdict)
    assert verdict.kills == verdict.points >= least
    assert all(seam.startswith("worker") for seam in verdict.where) == (plan in {WORKER, WORKER_AND_BOT})


@pytest.mark.fault(1)
async def test_a_death_while_an_account_is_fetched(ready: Bots, tmp_path: Path) -> None:
    """A bot that is killed while it fetches an account loses no page, has none paid for twice once it is kept, and counts each once."""
    verdict = await enumerate_points(ready, tmp_path / "any", [FETCHED], step=8)
    assert faultless(verdict)
    assert verdict.kills == verdict.points >= 10
    asking = await enumerate_points(ready, tmp_path / "asking", [replace(FETCHED, where="source")], step=3)
    assert faultless(asking)
    assert asking.kills == asking.where["source"] >= 3


@pytest.mark.fault(1)
async def test_a_death_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    """A training that is killed while it saves goes on from that checkpoint or from the one before, and never from half of one."""
    verdict = await checkpoints(tmp_path / "checkpoints", 12)
    assert faultless(verdict)
    assert verdict.kills == 12


@pytest.mark.skipif(not has_strace(), reason="needs strace, to kill inside a call to the kernel")
async def test_a_death_inside_a_call_to_the_kernel(ready: Bots, tmp_path: Path) -> None:
    verdict = await enumerate_points(ready, tmp_path, SYSCALLS[1:2], step=4)
    assert faultless(verdict)
    assert verdict.where["fdatasync"] >= 3


async def test_an_outbox_that_posts_before_it_marks_is_caught(ready: Bots, tmp_path: Path) -> None:
    verdict = await enumerate_points(ready, tmp_path, [replace(SLOTS, broken="post, then mark")], step=3)
    assert verdict.twice
    assert verdict.lost == []


async def test_an_outbox_that_never_looks_again_is_caught(ready: Bots, tmp_path: Path) -> None:
    verdict = await enumerate_points(ready, tmp_path, [replace(SLOTS, broken="mark, and never look")], step=3)
    assert verdict.lost
    assert verdict.twice == []


@pytest.mark.fault(1, 19)
async def test_a_small_soak(ready: Bots, tmp_path: Path) -> None:
    """While bots are killed at random and a tenth of Discord's answers goes wrong, every job and every post comes out exactly once."""
    verdict = await soak(ready, tmp_path, jobs=8, posts=8, seed=7, lanes=2)
    assert faultless(verdict)
    assert verdict.kills >= 2
    assert verdict.jobs >= 8
