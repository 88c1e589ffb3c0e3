"""The image, as far as it can be held without Docker: the linter, what the steps name, and the package that its pip step makes."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # ships no type information; transformers brings it

from bot.config import Settings

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def instructions() -> list[tuple[str, str]]:
    """Every instruction with its arguments, continued lines joined and comments left out."""
    lines = [line for line in DOCKERFILE.splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [(words[0], words[1]) for line in joined.splitlines() if (words := line.split(maxsplit=1))]


def all_of(name: str) -> list[str]:
    return [arguments for instruction, arguments in instructions() if instruction == name]


def copied() -> list[str]:
    """What comes from the repository, in the words of the COPY lines."""
    lines = [arguments.split() for arguments in all_of("COPY") if not arguments.startswith("--from")]
    return [source for words in lines for source in words[:-1]]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pip step without its downloads: a folder with the package as it would stand in the image, built from the copied files alone."""
    context, target = tmp_path_factory.mktemp("context"), tmp_path_factory.mktemp("installed")
    for source in copied():
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, context / source, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, context)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--wheel-dir", target, context], check=True, capture_output=True, text=True)
    (wheel,) = target.glob("mynah-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_the_linter_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run([hadolint, "--no-color", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout, linted.stderr) == (0, "", "")


def test_everything_copied_exists_and_is_sent_to_the_builder() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*", "nothing is sent that is not named: no .env, no data, no history"
    for source in copied():
        name = source.rstrip("/")
        assert (ROOT / name).exists(), source
        assert f"!{name}" in ignored, source
    assert {line.removeprefix("!") for line in ignored if line.startswith("!")} == {source.rstrip("/") for source in copied()}


def test_the_pip_step_is_that_of_make_install_without_the_tools() -> None:
    (step,) = [arguments for arguments in all_of("RUN") if "pip install" in arguments]
    made = next(line for line in (ROOT / "Makefile").read_text(encoding="utf-8").splitlines() if "pip install" in line)
    assert "--constraint constraints.txt" in step
    assert "--constraint constraints.txt" in made
    assert step.endswith(" .")
    assert made.endswith(' ".[dev,ray]"')
    assert 'ARG EXTRA_INDEX_URL=""' in DOCKERFILE, "no index is named here; who wants a CPU image names one"
    assert "://" not in DOCKERFILE


def test_the_python_is_the_one_that_the_project_asks_for() -> None:
    assert PYPROJECT["project"]["requires-python"] == ">=3.11,<3.12"
    assert {arguments.split()[0] for arguments in all_of("FROM")} == {"python:3.11-slim"}


def test_the_image_runs_the_bot_without_privileges_and_keeps_its_data_in_the_volume() -> None:
    steps = [instruction for instruction, _ in instructions()]
    assert steps.index("USER") > max(place for place, step in enumerate(steps) if step in {"RUN", "COPY"})
    (user,) = all_of("USER")
    assert f"useradd --uid {user} " in DOCKERFILE
    assert user != "0"
    assert all_of("VOLUME") == ["/data"]
    assert any("MYNAH_HOME=/data" in line for line in all_of("ENV"))
    assert all_of("STOPSIGNAL") == ["SIGTERM"]
    assert all_of("ENTRYPOINT") == ['["mynah"]']
    assert "mynah" in PYPROJECT["project"]["scripts"]
    assert all_of("CMD") == ['["run"]']


def test_compose_has_a_bot_that_may_finish_and_a_demo(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"bot", "demo"}
    for service in services.values():
        assert service["init"] is True
        seconds = float(service["stop_grace_period"].removesuffix("s"))
        assert seconds >= 2 * Settings.model_fields["stop_grace_seconds"].default
    assert services["bot"]["environment"]["MYNAH_HOME"] == "/data"
    assert services["bot"]["volumes"] == ["data:/data"]
    assert services["bot"].get("command") is None
    assert services["demo"]["command"] == ["demo"]
    assert "DISCORD_TOKEN" not in (ROOT / "compose.yaml").read_text(encoding="utf-8").split("services:")[1], "the token stands in .env only"


def test_the_package_holds_every_file_of_the_three_floors(installed: Path) -> None:
    for floor in ("bot", "cogs", "storage"):
        there = {path.relative_to(ROOT) for path in (ROOT / floor).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
        missing = sorted(str(path) for path in there if not (installed / path).is_file())
        assert missing == [], "add their endings to package-data in pyproject.toml"
    assert not (installed / "tests").exists()


@pytest.mark.parametrize("command", ["run", "demo"])
def test_the_installed_command_knows_what_the_image_and_compose_ask_of_it(installed: Path, tmp_path: Path, command: str) -> None:
    script = f"import bot, sys; assert bot.__file__.startswith({str(installed)!r}), bot.__file__; from bot.cli import main; main()"
    environment = os.environ | {"PYTHONPATH": str(installed), "MYNAH_HOME": str(tmp_path / "data")}
    told = subprocess.run(
        [sys.executable, "-c", script, command, "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stderr
    assert "Usage:" in told.stdout


def test_the_sample_and_the_schema_come_along(installed: Path) -> None:
    assert (installed / "bot/sample/archive.zip").read_bytes() == (ROOT / "bot/sample/archive.zip").read_bytes()
    assert list((installed / "storage/migrations").glob("*.sql"))
