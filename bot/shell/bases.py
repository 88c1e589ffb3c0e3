"""At the shell: fetching a base."""

import asyncio

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from bot.config import Settings
from bot.shell.console import out, status


async def pull(settings: Settings, name: str) -> None:
    """Fetch a base model into MYNAH_HOME with a progress bar."""
    from bot.lm import hub  # noqa: PLC0415 -- the hub's client is needed by this command only

    home = settings.mynah_home.resolve()
    with Progress(TextColumn(name), BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=status) as bar:
        task = bar.add_task("pull", total=None)
        folder = await asyncio.to_thread(
            hub.pull, name, home, on_progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    out.print(f"{name} is in {folder}. BASE_MODEL=auto takes gpt2 when it is here; any other base is named in BASE_MODEL.", soft_wrap=True)
