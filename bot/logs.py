"""Logging: ours and the libraries', through structlog, to standard error. Secrets never leave through here."""

import logging
import re
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import Processor

from bot.config import Settings

_NOISY = ("apscheduler", "discord.gateway", "discord.http", "asyncio")
"""They report each alarm and each frame: shown at DEBUG only."""


class OneLine(logging.Filter):
    """discord.py's note that the connection broke and is made again, in one line and without its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten that one; let everything pass."""
        if str(record.msg).startswith("Attempting a reconnect") and record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            record.msg = f"Discord cannot be reached ({type(error).__name__}: {error}): the next try is in %.2fs"
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.exc_info = record.exc_text = None
        return True


_TOKENS = re.compile(r"""(?P<before>/(?:webhooks|interactions)/\d+/|["']token\\?["']: \\?["'])[\w.-]{16,}""")
"""What lets whoever knows it post in a channel, in addresses and in what Discord says: its library writes both into its own lines."""


class RedactingFormatter(structlog.stdlib.ProcessorFormatter):
    """Blots out secrets wherever they stand in a log line, tracebacks included."""

    def __init__(self, *, secrets: Sequence[str], foreign_pre_chain: list[Processor], processors: list[Processor]) -> None:
        super().__init__(foreign_pre_chain=foreign_pre_chain, processors=processors)
        self._secrets = [secret for secret in secrets if secret]

    def format(self, record: logging.LogRecord) -> str:
        """The line, with every secret replaced."""
        line = super().format(record)
        for secret in self._secrets:
            line = line.replace(secret, "[secret]")
        return _TOKENS.sub(r"\g<before>[secret]", line)


def configure_logs(settings: Settings, *, at_shell: bool = False) -> None:
    """Send every log line to standard error in the form and from the level that the settings ask for; at the shell only what is wrong."""
    as_json = settings.log_format == "json"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    rendered: list[Processor] = (
        [structlog.processors.dict_tracebacks, structlog.processors.JSONRenderer()]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    tokens = (settings.discord_token, settings.ray_token, settings.x_bearer_token)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        RedactingFormatter(
            secrets=[token.get_secret_value().strip() for token in tokens if token],
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    handler.addFilter(OneLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING" if at_shell and settings.log_level == "INFO" else settings.log_level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.DEBUG if settings.log_level == "DEBUG" else logging.WARNING)
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)  # it would show every value that is written, tokens among them
