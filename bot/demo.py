"""`mynah demo`: a local Discord, the real bot process against it, and a scripted person who uses it. The terminal shows what she sees."""

import asyncio
import re
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from bot import sample
from bot.config import child_environment
from bot.errors import MynahError
from bot.localdiscord import File, Message, Person, Server, World, serve
from bot.localdiscord.objects import Application, Channel
from bot.questions import CLAIMS

START_S, TRAIN_S, SAY_S = 60.0, 220.0, 60.0
"""How long the bot may take to come up, to train and to speak before the demo says that it failed."""
CLAIM = CLAIMS["public"][0]
"""What entitles alice: the sample's person is invented."""
PROMPT = "This morning"
POSTS = 5
_PERCENT = re.compile(r"(\d{1,3})\s?%")

console = Console(highlight=False)


class DemoFailed(MynahError):
    """Something that the demo shows did not happen."""


@dataclass
class Stage:
    """Where the demo plays."""

    world: World
    channel: Channel
    person: Person
    server: Server
    application: Application


async def run_demo(*, once: bool) -> None:
    """Play the whole transcript; then stay up until Ctrl-C, or return with `once`.

    Raises:
        DemoFailed: with one sentence that says what did not happen and where the bot's log is.
    """
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    with tempfile.TemporaryDirectory(prefix="mynah-demo-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        async with _stage() as stage, _bot(stage, home) as process:
            _header(stage)
            play = asyncio.create_task(_play(stage, home))
            died = asyncio.create_task(process.wait())
            await asyncio.wait({play, died}, return_when=asyncio.FIRST_COMPLETED)
            if died.done():
                play.cancel()
                raise _ended(process, home)
            play.result()
            if once:
                return
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, stopped.set)
            console.print(f"\nThe local Discord and the bot stay up at [bold]{stage.server.url}[/bold] until Ctrl-C.")
            waiting = asyncio.create_task(stopped.wait())
            await asyncio.wait({waiting, died}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if died.done():
                raise _ended(process, home)


@asynccontextmanager
async def _stage() -> AsyncIterator[Stage]:
    world = World()
    guild = world.add_guild("Aviary")
    channel = guild.add_channel("general")
    application = world.add_application("Mynah")
    world.install(application, guild)
    async with serve(world) as server:
        yield Stage(world, channel, world.user("alice"), server, application)


@asynccontextmanager
async def _bot(stage: Stage, home: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """The bot as `mynah run` starts it, told of the local Discord by its environment alone."""
    settings = {
        "DISCORD_TOKEN": stage.application.token,
        "DISCORD_BASE_URL": stage.server.url,
        "MYNAH_HOME": str(home / "data"),
        "LOG_FORMAT": "text",
    }
    with (home / "bot.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bot", "run", env=child_environment(settings), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(30):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


async def _play(stage: Stage, home: Path) -> None:
    alice, channel = stage.person, stage.channel
    step = "come up and tell Discord its commands"
    try:
        async with asyncio.timeout(START_S):
            await stage.server.bot_ready(stage.application)
        _bot_says("Mynah is online.")
        step = "take the archive"
        _types(f"/train handle:@{sample.HANDLE} archive:{sample.ARCHIVE.name}")
        archive = File(sample.ARCHIVE.name, sample.ARCHIVE.read_bytes())
        reply = await alice.slash("train", {"handle": f"@{sample.HANDLE}", "archive": archive}, channel=channel)
        question = await reply.done(START_S)
        _bot_says(_named(question.content, alice))
        step = "take the answer"
        if CLAIM not in _labels(question):
            raise DemoFailed(f"/train was not accepted: {question.content}")
        _clicks(CLAIM)
        await alice.click(question, CLAIM)
        started = await alice.wait_for(channel, lambda message: message.id == question.id and CLAIM not in _labels(message), START_S)
        step = "train the character"
        card = await _watch_training(stage, started)
        _bot_says(_named(card.content, alice))
        step = "let the character speak"
        _types(f"/say character:{sample.HANDLE} prompt:{PROMPT} count:{POSTS}")
        await _hear(stage)
    except TimeoutError as error:
        _show_log(home)
        raise DemoFailed(f"The demo failed: the bot did not {step} in time; the end of its log stands above.") from error


async def _watch_training(stage: Stage, started: Message) -> Message:
    """Show the progress message as it is edited, until the result stands in the channel."""
    columns = (BarColumn(40), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(), TextColumn("{task.description}"))
    bar = Progress(*columns, console=console)
    task = bar.add_task("", total=100)
    told: set[str] = set()

    def look(message: Message) -> bool:
        if message.id == started.id:
            state = " · ".join(line for line in message.content.splitlines()[1:] if line.strip())
            percent = _PERCENT.search(message.content)
            at = int(percent.group(1)) if percent else 0
            bar.update(task, completed=at, description=state.split("%", 1)[-1].strip(" ·"))
            # Every edit moves the bar; a line is left in the transcript for each tenth.
            step = f"{at // 10} {'' if percent else state}"
            if step not in told:
                told.add(step)
                bar.console.print(Text(f"  #general  Mynah: {state}", style="dim"), no_wrap=True, overflow="ignore", crop=False)
        return message.id > started.id

    with bar:
        result = await stage.person.wait_for(stage.channel, look, TRAIN_S)
        bar.update(task, completed=100, description="done")
    if not result.buttons:
        raise DemoFailed(f"The training failed: {result.content}")
    return result


async def _hear(stage: Stage) -> None:
    before = {message.id for message in stage.person.read(stage.channel)}
    reply = await stage.person.slash("say", {"character": sample.HANDLE, "prompt": PROMPT, "count": POSTS}, channel=stage.channel)
    answer = await reply.done(SAY_S)
    said = [m for m in stage.person.read(stage.channel) if m.id not in before and m.is_webhook]
    for message in said:
        console.print(Text(f"\n  {message.author_name}", style="bold magenta"))
        console.print(Text("\n".join(f"  {line}" for line in message.content.splitlines())))
    if len({message.content for message in said}) != POSTS:
        raise DemoFailed(f"{POSTS} different posts were asked for and {len(said)} came: {answer.content}")


def _header(stage: Stage) -> None:
    console.print(f"[bold]Mynah, on a local Discord[/bold] at {stage.server.url}: the real bot process over HTTP and websocket.")
    console.print(f"[dim]{sample.NAME} (@{sample.HANDLE}) is an invented person; alice is scripted.[/dim]\n")


def _types(line: str) -> None:
    console.print(Text("\n  #general  alice: ", style="bold cyan"), Text(line), sep="")


def _clicks(label: str) -> None:
    console.print(Text("  #general  alice ", style="bold cyan"), Text(f"[{label}]"), sep="")


def _labels(message: Message) -> list[str | None]:
    return [button.label for button in message.buttons]


def _named(content: str, person: Person) -> str:
    return content.replace(f"<@{person.id}>", f"@{person.name}")


def _bot_says(content: str) -> None:
    console.print(Text("  #general  Mynah: ", style="bold green"), Text(content.replace("\n", "\n    ")), sep="")


def _ended(process: asyncio.subprocess.Process, home: Path) -> DemoFailed:
    _show_log(home)
    return DemoFailed(f"The demo failed: the bot ended with status {process.returncode}; the end of its log stands above.")


def _show_log(home: Path) -> None:
    lines = (home / "bot.log").read_text(encoding="utf-8", errors="replace").splitlines()
    console.print("\n".join(lines[-20:]), style="dim", markup=False)
