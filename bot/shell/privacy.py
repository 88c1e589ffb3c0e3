"""At the shell: what `/privacy` does on Discord, said by the operator. Each needs the database alone."""

from dataclasses import asdict
from typing import Any

from bot.config import Settings
from bot.privacy import OPERATOR, one_account
from bot.shell.console import agreed, out
from bot.shell.opening import open_alone
from bot.wording import counted
from storage.characters import SHELL


async def opt_out(settings: Settings, *, handle: str) -> dict[str, Any]:
    """Let nobody learn from an account any more.

    Raises:
        MynahError: it is no account's handle, or the bot is running.
    """
    async with open_alone(settings, instead="/privacy opt-out") as app:
        return asdict(await app.privacy.opt_out(handle, guild_id=SHELL, user_id=OPERATOR))


def show_opted_out(result: dict[str, Any]) -> None:
    """What it did."""
    out.print(f"@{result['handle']} {'had opted out already' if result['already'] else 'has opted out'}: Mynah learns nothing from it.")
    out.print(f"Silent from now on: {counted(result['characters'], 'character')}. ", end="")
    out.print(f"Cancelled: {counted(result['jobs'] + result['requests'], 'training')}.")
    out.print(f"What was learned of it before is still there; to delete it: mynah privacy forget {result['handle']}", soft_wrap=True)


async def opt_in(settings: Settings, *, handle: str) -> dict[str, Any]:
    """Take an opt-out back, whoever asked for it.

    Raises:
        MynahError: it has not opted out, or the bot is running.
    """
    async with open_alone(settings, instead="/privacy opt-in") as app:
        await app.privacy.opt_in(handle, OPERATOR)
        return {"handle": one_account(handle)}


def show_opted_in(result: dict[str, Any]) -> None:
    """That it is so."""
    out.print(f"@{result['handle']} is no longer opted out: Mynah may learn from it again.")


async def forget(settings: Settings, *, handle: str, yes: bool) -> dict[str, Any]:
    """Delete everything of an account. The messages at Discord go when the bot runs next.

    Raises:
        MynahError: it is no account's handle, it is not confirmed, or the bot is running.
    """
    plain = one_account(handle)
    async with open_alone(settings, instead="/privacy forget") as app:
        agreed(
            f"Deleted for good, in every server: the tweets of @{plain}, what was trained on them, its exports and what it has said.",
            yes=yes,
        )
        await app.runner.recover()  # what a crash has left belongs to nobody, and could be theirs
        receipt = await app.forgetting.forget(plain, guild_id=SHELL, user_id=OPERATOR, statement="operator")
        return {**asdict(receipt), "handle": plain, "lines": receipt.lines}


def show_forgotten(result: dict[str, Any]) -> None:
    """The receipt."""
    out.print(f"Forgotten: @{result['handle']}. Receipt {result['id']}:")
    for line in result["lines"]:
        out.print(f"  {line}", markup=False, soft_wrap=True)
    if result["due"]:
        out.print("The messages at Discord are deleted when the bot runs: mynah run.")
