"""The same job at the shell, with posts that are read from a source: the real command, over TLS, from servers that answer as theirs do."""

import asyncio
import json
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.backups import DATABASE
from bot.bases import packed_folder
from tests.acceptance.conftest import mynah
from tests.acceptance.house import some_tweets, standing
from tests.contracts.sources.bluesky import BlueskyCase
from tests.contracts.sources.mastodon import HOST, MastodonCase
from tests.contracts.sources.stub import Stub, running
from tests.contracts.sources.world import Account, Case, Post
from tests.contracts.sources.x import TOKEN, XCase

LOOPBACK = Path(__file__).with_name("loopback")
PAGE = 20
TEXTS = [str(json.loads(line)["text"]) for line in some_tweets(60).decode().splitlines()]
"""The oldest first: fifty that are there at once, and ten that come later."""
POSTS = re.compile(r"/tweets|getAuthorFeed|/statuses")


@dataclass
class Shell:
    """The command in a home of its own, with no way but to the stub."""

    stub: Stub
    home: Path

    async def run(self, *arguments: str) -> tuple[int, str, str]:
        """Its status, and what it printed."""
        trust = self.home.parent / "authority.pem"
        self.stub.write_trust(trust)
        environment: dict[str, Any] = {
            "PYTHONPATH": str(LOOPBACK),
            "SERVERS": f"{self.stub.port} {','.join(self.stub.hosts)}",
            "SSL_CERT_FILE": str(trust),
            "X_ENABLED": "i-have-read-the-terms",
            "X_BEARER_TOKEN": TOKEN,
            "MASTODON_INSTANCES": HOST,
            "BASE_MODEL": "nano",
        }
        done = await asyncio.to_thread(lambda: mynah(*arguments, home=self.home, **environment))
        return done.returncode, done.stdout, done.stderr

    async def told(self, *arguments: str) -> Any:
        """What it printed for a program."""
        status, printed, errors = await self.run(*arguments, "--json")
        assert status == 0, errors
        return json.loads(printed)

    def rows(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.home / DATABASE)) as connection:
            return connection.execute(sql).fetchall()

    def pages(self) -> int:
        """How often posts were asked for."""
        return sum(POSTS.search(asked.path) is not None for asked in self.stub.asked)


def newest_first(begin: int, end: int) -> list[Post]:
    return [Post(number, TEXTS[number]) for number in reversed(range(begin, end))]


@asynccontextmanager
async def at_shell(case: Case, home: Path) -> AsyncIterator[tuple[Shell, Account]]:
    """An account of fifty posts, and somebody at a shell who can reach its server."""
    account = Account(case.handle, posts=newest_first(0, 50))
    case.world.accounts[case.handle] = account
    case.world.pages = (PAGE,)
    async with running(case.world) as stub:
        yield Shell(stub, home), account


async def learns(shell: Shell, source: str, handle: str) -> Any:
    return await shell.told("train", f"@{handle}", "--source", source, "--consent", "own", "--preset", "fast", "--seed", "1", "--yes")


async def reads_and_speaks(shell: Shell, source: str, handle: str) -> list[str]:
    """What it has said."""
    made = await learns(shell, source, handle)
    assert (made["character"], made["model_version"]) == (handle.lower(), 1)
    assert made["counts"] == {"downloaded": 50, "retweets": 0, "short": 0, "kept": 50}
    assert shell.pages() == 3
    asked = len(shell.stub.asked)
    said = await shell.told("say", handle, "--prompt", "The heron", "--seed", "1")
    assert len(shell.stub.asked) == asked
    assert said["posts"][0]["text"].startswith("The heron")
    return [post["text"] for post in said["posts"]]


async def is_forgotten(shell: Shell, account: Account, said: list[str]) -> None:
    texts = [post.text for post in account.posts]
    assert sorted(standing(shell.home, texts)) == sorted(texts)
    asked = len(shell.stub.asked)
    receipt = await shell.told("privacy", "forget", account.handle, "--yes")
    assert len(shell.stub.asked) == asked
    assert receipt["handle"] == account.handle.lower()
    assert standing(shell.home, [*texts, *said, account.handle.lower(), account.name]) == []
    left = {path.name for path in shell.home.rglob("*") if path.is_file() and path.parent != packed_folder(shell.home)}
    assert left == {DATABASE, f"{DATABASE}.lock", "privacy.json"}, "but for the copy of a base, which holds nothing of anybody"


@pytest.mark.parametrize(("source", "make"), [("bluesky", BlueskyCase), ("mastodon", MastodonCase)])
async def test_an_account_is_read_and_speaks_and_is_forgotten(source: str, make: Callable[[], Case], tmp_path: Path) -> None:
    async with at_shell(make(), tmp_path / "data") as (shell, account):
        said = await reads_and_speaks(shell, source, account.handle)
        assert shell.rows("SELECT sum(posts), sum(users) FROM spending") == [(None, None)]
        await is_forgotten(shell, account, said)


async def test_an_account_of_x_is_brought_up_to_date_and_pays_for_no_post_twice(tmp_path: Path) -> None:
    async with at_shell(XCase(), tmp_path / "data") as (shell, account):
        said = await reads_and_speaks(shell, "x", account.handle)
        account.posts[:0] = newest_first(50, 60)
        again = await learns(shell, "x", account.handle)
        assert (again["model_version"], again["counts"]["downloaded"]) == (2, 60)
        assert shell.pages() == 4, "what was read before was read again"
        assert shell.rows("SELECT sum(posts), sum(users) FROM spending") == [(60, 2)]
        await is_forgotten(shell, account, said)


async def test_an_account_that_is_not_there_leaves_a_sentence_and_nothing_else(tmp_path: Path) -> None:
    case = BlueskyCase()
    async with running(case.world) as stub:
        shell = Shell(stub, tmp_path / "data")
        status, printed, errors = await shell.run("train", "@nobody.bsky.social", "--source", "bluesky", "--consent", "own")
    assert (status, printed) == (1, "")
    assert "Bluesky knows no account @nobody.bsky.social" in errors.splitlines()[-1]
    assert not list((shell.home / "uploads").glob("*"))


async def test_no_other_server_can_be_reached(tmp_path: Path) -> None:
    """What the tests above stand on."""
    async with running(XCase().world) as stub:
        shell = Shell(stub, tmp_path / "data")
        status, _, errors = await shell.run("train", "@heron.bsky.social", "--source", "bluesky", "--consent", "own")
        assert stub.asked == []
    assert status == 1
    assert "Bluesky could not be reached" in errors
