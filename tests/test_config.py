"""Settings: read from the environment, documented in full, and refused with one sentence."""

import re
from pathlib import Path

import pytest

from bot.config import Settings, load_settings
from bot.errors import ConfigError

EXAMPLE = Path(__file__).parents[1] / ".env.example"
SETTING = re.compile(r"^#?([A-Z][A-Z_0-9]*)=(.*)$")


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No `.env` of this checkout and no variable of this shell is read."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def documented() -> dict[str, str]:
    """Every variable of `.env.example`, in its order, and the value it shows."""
    found = [(match[1], match[2]) for line in EXAMPLE.read_text("utf-8").splitlines() if (match := SETTING.match(line))]
    assert len(found) == len(dict(found)), ".env.example shows a variable twice"
    return dict(found)


def test_the_example_shows_every_setting_and_nothing_else() -> None:
    assert list(documented()) == [name.upper() for name in Settings.model_fields]


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_example_shows_the_default(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = documented()[name.upper()]
    default = getattr(load_settings(), name)
    assert (shown == "") == (default is None), "an empty value stands for none, and for none only"
    monkeypatch.setenv(name.upper(), shown)
    assert getattr(load_settings(), name) == default


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_example_explains_each_setting(name: str) -> None:
    """A comment stands over each variable, and says the default."""
    text = EXAMPLE.read_text("utf-8")
    paragraph = next(part for part in text.split("\n\n") if re.search(rf"^#?{name.upper()}=", part, re.MULTILINE))
    comment = " ".join(line.removeprefix("# ") for line in paragraph.splitlines() if line.startswith("# "))
    shown = documented()[name.upper()]
    wanted = f"efault: {shown.removesuffix('.0')}" if shown else "no default"
    assert wanted in comment


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    before = load_settings()
    (tmp_path / ".env").write_text(EXAMPLE.read_text("utf-8"), "utf-8")
    assert load_settings() == before


def test_the_file_is_read_and_the_environment_goes_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("JOBS_PER_MEMBER=3\nLOG_LEVEL=DEBUG\nSOMEBODY_ELSES=1\n", "utf-8")
    monkeypatch.setenv("LOG_LEVEL", "ERROR")
    settings = load_settings()
    assert (settings.jobs_per_member, settings.log_level) == (3, "ERROR")


def test_the_token_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "MTEw.abc.def")
    settings = load_settings()
    assert settings.discord_token is not None
    assert settings.discord_token.get_secret_value() == "MTEw.abc.def"
    assert "MTEw" not in repr(settings)


LOOPBACK = {
    "http://127.0.0.1:8123": "http://127.0.0.1:8123",
    "http://127.0.0.1:8123/": "http://127.0.0.1:8123",
    "http://127.1.2.3:80": "http://127.1.2.3",
    "http://127.0.0.1": "http://127.0.0.1",
    "http://localhost:8123": "http://localhost:8123",
    "http://LOCALHOST:8123": "http://localhost:8123",
    "http://[::1]:8123": "http://[::1]:8123",
}

STRANGERS = [
    "https://127.0.0.1:8123",
    "https://discord.com",
    "http://discord.com",
    "http://127.0.0.1.evil.com",
    "http://localhost.evil.com",
    "http://evil.com/127.0.0.1",
    "http://evil.com#127.0.0.1",
    "http://evil.com?127.0.0.1",
    "http://127.0.0.1@evil.com",
    "http://127.0.0.1:80@evil.com",
    "http://localhost:x@evil.com:80/",
    "http://user@127.0.0.1:8123",
    "http://user:secret@localhost:8123",
    "http://127.0.0.1:8123/api",
    "http://127.0.0.1:8123?x=1",
    "http://127.0.0.1:8123#x",
    "http://127.0.0.1\\@evil.com",
    "http://0.0.0.0:8123",
    "http://[::]:8123",
    "http://10.0.0.1:8123",
    "http://192.168.0.1",
    "http://169.254.169.254",
    "http://[::ffff:10.0.0.1]:8123",
    "http://127.1:8123",
    "http://2130706433",
    "http://0x7f000001",
    "http://1২7.0.0.1",
    "http://localhost%2eevil.com",
    "http://127.0.0.1:99999",
    "http://127.0.0.1:port",
    "ws://127.0.0.1:8123",
    "file:///etc/passwd",
    "127.0.0.1:8123",
    "//127.0.0.1:8123",
    "localhost",
    "http://",
    "http://:8123",
    " ",
]


@pytest.mark.parametrize(("given", "taken"), LOOPBACK.items(), ids=LOOPBACK)
def test_a_local_discord_is_taken(given: str, taken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_BASE_URL", given)
    assert load_settings().discord_base_url == taken


@pytest.mark.parametrize("given", STRANGERS)
def test_no_other_address_gets_the_token(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISCORD_BASE_URL", given)
    with pytest.raises(ConfigError, match=r"^DISCORD_BASE_URL='.*' cannot be used: .*see \.env\.example\.$"):
        load_settings()


WRONG = {
    "JOBS_PER_MEMBER": ["0", "-1", "two", "1.5"],
    "JOBS_PER_SERVER": ["0"],
    "SCHEDULES_PER_SERVER": ["-1"],
    "SCHEDULE_MIN_MINUTES": ["0"],
    "TRAIN_THREADS": ["0", "1025", "all"],
    "IDLE_MINUTES": ["0", "-1", "nan", "never"],
    "STOP_GRACE_SECONDS": ["0", "-1", "nan", "inf", "soon"],
    "EXECUTOR": ["cluster", "Ray"],
    "RAY_GPUS": ["-1", "1.5", "inf", "nan", "65", "all"],
    "LOG_LEVEL": ["LOUD"],
    "LOG_FORMAT": ["xml"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_one_sentence(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as caught:
        load_settings()
    message = str(caught.value)
    assert message.startswith(f"{name}='{value}' cannot be used: ")
    assert message.endswith("; see .env.example.")
    assert "\n" not in message


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"BASE_MODEL=caf\xe9\n")
    with pytest.raises(ConfigError, match=r"^The file \.env is no UTF-8 text"):
        load_settings()


def test_blocked_words_stand_between_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BLOCKED_WORDS", " darn, bloody fool ,,")
    assert load_settings().blocked == ("darn", "bloody fool")


@pytest.mark.parametrize("address", ["http://10.0.0.1:8265", "https://head.example", "http://[::1]:8265", "http://localhost:8265/"])
def test_the_address_of_a_cluster(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert load_settings().ray_url() == address


def test_a_cluster_needs_an_address() -> None:
    with pytest.raises(ConfigError, match=r"^EXECUTOR=ray needs RAY_ADDRESS, .*see \.env\.example\.$"):
        load_settings().ray_url()


@pytest.mark.parametrize(
    "address", ["auto", "10.0.0.1:6379", "ray://10.0.0.1:10001", "http://", "http://h:8265/api", "http://u:p@h:8265", "http://h:99999", " "]
)
def test_a_wrong_address_of_a_cluster_is_one_sentence_where_one_is_needed(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable is Ray's own as well: without EXECUTOR=ray it may say what it likes."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    settings = load_settings()
    with pytest.raises(ConfigError, match=r"^RAY_ADDRESS='.*' cannot be used: .*see \.env\.example\.$"):
        settings.ray_url()


def test_the_token_of_the_cluster_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TOKEN", "0123abcd")
    assert "0123abcd" not in repr(load_settings())
