"""Logs: one event a line, JSON for machines, colours for a terminal, and no secrets in either."""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.typing import Processor

HIDDEN = "***"
SECRET_NAMES = ("password", "secret", "token", "authorization", "api_key", "credential", "cookie")
SECRET_TEXT = re.compile(
    r"(?P<keep>://[^/\s:@]*:)[^@\s/]+(?=@)"  # user:password@ in an address
    r"|(?P<sig>[?&](?:X-Amz-[\w-]+|signature|sig|token|key)=)[^&\s\"']+"  # signed addresses
    r"|(?P<bearer>Bearer )\S+"
    r"|(?P<vi>\bvi_)[\w-]{8,}"
    r"|(?P<sk>\bsk-)[\w-]{8,}",
    re.IGNORECASE,
)


def set_up_logs(level: str, *, stream: Any = None) -> None:
    """Ours and every library's events go the same way. Call once a process."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=_last(out), foreign_pre_chain=_common()))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    for chatty in ("botocore", "boto3", "urllib3", "httpx", "httpcore", "kombu", "faster_whisper", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a logger made before the set-up must obey it too
    )


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what is secret by its name or by its look."""
    for name, value in event.items():
        if any(word in name.lower() for word in SECRET_NAMES):
            event[name] = HIDDEN
        elif isinstance(value, str):
            event[name] = hide_secrets(value)
    return event


def hide_secrets(text: str) -> str:
    return SECRET_TEXT.sub(lambda found: next(filter(None, found.groups()), "") + HIDDEN, text)


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redact,
    ]


def _last(out: Any) -> list[Processor]:
    shown: Processor = (
        structlog.dev.ConsoleRenderer() if out.isatty() else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, shown]
