"""The documents say what the code does."""

import re
import sqlite3
from pathlib import Path

import discord
import pytest

from bot.config import Settings
from scripts import faults, make_docs

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]
LINK = re.compile(r"\]\((?!\w+:)(?P<file>[^)#]*)(?:#(?P<place>[^)]*))?\)")


def anchor(heading: str) -> str:
    """How a heading is named in a link."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@pytest.mark.parametrize("path", make_docs.PAGES, ids=lambda path: path.name)
def test_generated_pages_are_those_that_the_code_gives(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == make_docs.PAGES[path](), "run: python -m scripts.make_docs"


def test_every_column_says_what_it_is() -> None:
    for line in make_docs.schema().splitlines():
        if line.startswith("| `"):
            assert line.split("|")[-2].strip(), f"a column without a comment: {line}"


def test_the_schema_page_has_every_table_of_the_migrations() -> None:
    database = sqlite3.connect(":memory:")
    for migration in sorted((ROOT / "storage" / "migrations").glob("*.sql")):
        database.executescript(migration.read_text(encoding="utf-8"))
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
    database.close()
    assert set(re.findall(r"^## (\w+)$", make_docs.schema(), re.MULTILINE)) == tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.finditer(page.read_text(encoding="utf-8")):
        target = (page.parent / link["file"]).resolve() if link["file"] else page
        assert target.exists(), link[0]
        if link["place"]:
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert link["place"] in map(anchor, headings), link[0]


def test_the_operators_guide_has_every_setting_with_its_default() -> None:
    guide = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    for name, field in Settings.model_fields.items():
        row = re.search(rf"^\| `{name.upper()}` \| (?P<default>[^|]*) \|", guide, re.MULTILINE)
        assert row, f"{name.upper()} is missing"
        default = "none" if field.default is None else f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert row["default"].strip().strip("`") == default, name


def test_the_house_map_has_every_file_of_the_code() -> None:
    house = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").split("## 1. The house")[1].split("\n## ")[0]
    files = [path.relative_to(ROOT) for floor in ("bot", "cogs", "storage") for path in (ROOT / floor).rglob("*.py")]
    missing = [str(file) for file in files if file.name != "__init__.py" and not _is_on(house, file)]
    assert missing == []


def _is_on(house: str, file: Path) -> bool:
    """By its own name; what lies deeper than a room, such as localdiscord/rules/messages.py, by that of its folder."""
    named = rf"\b{file.parent.name}/" if len(file.parts) > 3 else rf"\b{file.stem}\b"
    return re.search(named, house) is not None


def test_commands_named_in_the_documents_exist() -> None:
    known = set(re.findall(r"^### (?:Menu: )?(.+)$", make_docs.commands(), re.MULTILINE))
    for page in (ROOT / "README.md", ROOT / "docs" / "operator.md"):
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"`(/[a-z]+(?: (?:list|show|cancel|info|delete|add|remove))?)[ `]", text):
            assert any(name == command or name.startswith(command + " ") for name in known), f"{page.name} names {command}"
        for command in re.findall(r"`(mynah [a-z]+(?: (?:pull|opt-out|opt-in|forget))?)", text):
            assert any(name == command or name.startswith(command + " ") for name in known), f"{page.name} names {command}"


def test_the_invite_asks_for_the_permissions_that_the_readme_explains() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    invite = re.search(r"scope=bot\+applications\.commands&permissions=(\d+)", readme)
    assert invite
    asked = {name.replace("_", " ") for name, held in discord.Permissions(int(invite[1])) if held}
    table = readme.split("| permission | what for |")[1].split("\n\n")[0].lower().replace("view channels", "read messages")
    assert asked == {"read messages", "send messages", "send messages in threads", "manage webhooks", "read message history"}
    assert [name for name in asked if name not in table] == []


def test_every_fault_has_a_test_and_every_test_of_one_says_what_is_promised() -> None:
    promised = faults.promises()
    assert {promise.number for promise in promised} == set(faults.FAULTS) == set(range(1, 35))
    assert [f"{promise.path}::{promise.test}" for promise in promised if len(promise.sentence.split()) < 5] == []


def test_no_document_names_this_machine() -> None:
    for page in PAGES:
        assert not re.search(r"/work/|/tmp/|/home/\w", page.read_text(encoding="utf-8")), page.name
