"""Settings, read once from the environment and `.env`. The only reader of the environment.

`.env.example` documents every field; `tests/test_config.py` holds the two together.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from yarl import URL

from bot.errors import ConfigError


class Settings(BaseSettings):
    """Everything an operator can set. Field names are the variables' names in lower case."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", env_ignore_empty=True, extra="ignore", frozen=True)

    discord_token: SecretStr | None = None
    """The bot's token; needed by `mynah run` only."""
    discord_base_url: str | None = None
    """Where Discord is, when it is not Discord: a local one, on a loopback address only."""
    mynah_home: Path = Path("data")
    """Folder of everything the bot writes."""
    base_model: str = "auto"
    """`auto` (gpt2 when it has been pulled, else nano), `nano`, the id of a pulled model, or a folder."""
    train_threads: int | None = Field(default=None, ge=1, le=1024)
    """CPU threads of a training worker; None = every core the bot may use."""
    jobs_per_member: int = Field(default=2, ge=1)
    """Unfinished jobs that one member may have in a server."""
    jobs_per_server: int = Field(default=6, ge=1)
    """Unfinished jobs that one server may have."""
    schedules_per_server: int = Field(default=25, ge=0)
    """Schedules that one server may have."""
    schedule_min_minutes: int = Field(default=15, ge=1)
    """Shortest time between two posts of a schedule, in minutes."""
    blocked_words: str | None = None
    """Words and phrases, between commas, that no character may say."""
    idle_minutes: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    """After so long without a word the process that speaks gives its base's memory back."""
    stop_grace_seconds: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    """How long a worker may take to save when the bot stops."""
    executor: Literal["local", "ray"] = "local"
    """Where trainings run: on this host, or on a Ray cluster."""
    ray_address: str | None = None
    """Of the cluster's Jobs API; `ray_url` is what can be used of it."""
    ray_token: SecretStr | None = None
    """The cluster's token."""
    ray_gpus: float = Field(default=1.0, ge=0, le=64, allow_inf_nan=False)
    """GPUs of one training on the cluster."""
    x_enabled: Literal["i-have-read-the-terms"] | None = None
    """Whether X may be asked for tweets: its terms forbid to train on what its API gives (`mynah doctor` prints them)."""
    x_bearer_token: SecretStr | None = None
    """Of the operator's app at X."""
    x_post_price: float = Field(default=0.005, ge=0, allow_inf_nan=False)
    """What X charges for a post that is read, in US dollars."""
    x_user_price: float = Field(default=0.010, ge=0, allow_inf_nan=False)
    """What X charges for an account that is looked up, in US dollars."""
    x_monthly_budget: float = Field(default=20.0, ge=0, allow_inf_nan=False)
    """The most that may be spent at X in a month, in US dollars."""
    mastodon_instances: str | None = None
    """Mastodon servers, between commas, whose terms let the operator read posts for this."""
    multilingual_base: str = "Qwen/Qwen3-0.6B-Base"
    """With BASE_MODEL=auto, the id of the base for tweets that are not English, once it has been pulled."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """How much is logged."""
    log_format: Literal["text", "json"] = "text"
    """`text` for people, `json` for programs."""

    @property
    def blocked(self) -> tuple[str, ...]:
        """The words of `blocked_words`."""
        return tuple(word.strip() for word in (self.blocked_words or "").split(",") if word.strip())

    @property
    def instances(self) -> frozenset[str]:
        """The servers of `mastodon_instances`, in lower case."""
        return frozenset(name.strip().lower() for name in (self.mastodon_instances or "").split(",") if name.strip())

    def ray_url(self) -> str:
        """The address of the cluster's Jobs API. Looked at only where it is needed: the variable is also Ray's own.

        Raises:
            ConfigError: there is none, or it is none.
        """
        if self.ray_address is None:
            raise ConfigError(
                "EXECUTOR=ray needs RAY_ADDRESS, the address of the cluster's head such as http://10.0.0.1:8265; see .env.example."
            )
        try:
            url = URL(self.ray_address)
            usable = url.scheme in ("http", "https") and bool(url.host) and url == url.origin()
        except ValueError:
            usable = False
        if not usable:
            raise ConfigError(
                f"RAY_ADDRESS={self.ray_address!r} cannot be used: it must be http:// or https://, a host and a port, "
                "such as http://10.0.0.1:8265; see .env.example."
            )
        return self.ray_address

    @field_validator("ray_gpus")
    @classmethod
    def _whole_or_part_of_one(cls, value: float) -> float:
        if value > 1 and not value.is_integer():
            raise ValueError("it must be a whole number, or a part of one GPU such as 0.5")
        return value

    @field_validator("discord_base_url")
    @classmethod
    def _loopback_only(cls, value: str | None) -> str | None:
        """A mistyped address would hand the bot's token to a stranger."""
        if value is None:
            return None
        url = URL(value)
        if url.scheme != "http" or not _is_loopback(url.host or "") or url != url.origin():
            raise ValueError("it must be http:// on a loopback address and nothing more, such as http://127.0.0.1:8123")
        return str(url.origin())


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """The environment for a child process: ours, with these changes."""
    return {**os.environ, **changes}


def load_settings() -> Settings:
    """Read the settings.

    Raises:
        ConfigError: naming the variable, its value and what it should be.
    """
    try:
        return Settings()
    except UnicodeDecodeError as error:
        raise ConfigError("The file .env is no UTF-8 text: save it as UTF-8, or remove it.") from error
    except ValidationError as error:
        first = error.errors()[0]
        name, reason = str(first["loc"][0]).upper(), first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{name}={first['input']!r} cannot be used: {reason}; see .env.example.") from error
