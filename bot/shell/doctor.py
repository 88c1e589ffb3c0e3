"""At the shell: `mynah doctor`. Works while the bot runs, and changes nothing."""

from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from bot.clock import SystemClock
from bot.config import Settings
from bot.doctor import examine
from bot.shell.console import out
from bot.terms import X_TERMS

_STYLES = {"ok": "green", "note": "yellow", "broken": "bold red"}


async def doctor(settings: Settings) -> dict[str, Any]:
    """Whether all that is needed is here, everything that was looked at, and what X's terms say."""
    checks = await examine(settings, SystemClock())
    return {
        "ok": all(check.state != "broken" for check in checks),
        "checks": [asdict(check) for check in checks],
        "x_terms": [asdict(quote) for quote in X_TERMS],
    }


def show_doctor(result: dict[str, Any]) -> None:
    """One line for each thing, and under it what to do."""
    table = Table.grid(padding=(0, 2))
    for check in result["checks"]:
        style = _STYLES[check["state"]]
        table.add_row(Text(check["state"], style), check["name"], Text(check["found"]))
        if check["advice"]:
            table.add_row("", "", Text(f"→ {check['advice']}", style))
    out.print(table)
    out.print("\nWhat X's terms say, to be read before X_ENABLED=i-have-read-the-terms:")
    for quote in result["x_terms"]:
        out.print(Text(f"  “{quote['sentence']}” ({quote['source']})"), soft_wrap=True)
    broken = [check["name"] for check in result["checks"] if check["state"] == "broken"]
    verdict = f"Broken: {', '.join(broken)}." if broken else "Nothing is broken."
    out.print(f"\n{verdict}", style=_STYLES["broken" if broken else "ok"])
