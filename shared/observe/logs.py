"""Logs: one event a line, JSON for machines, colours for a terminal, and no secrets in either.

Every line carries what it belongs to: `job_id`, `run_id`, `owner_id`, `stage`, `request_id`, as far as they are bound
(`bound` below), and the `trace_id`. Libraries' lines, Celery's and uvicorn's among them, go the same way.
"""

import logging
import sys
import threading
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import Processor

from shared.observe.redaction import cleaned_entry, hide_secrets
from shared.observe.traces import current_ids

__all__ = ["bound", "hide_secrets", "learning", "learnt", "log_last_words", "redact", "set_up_logs"]

# Their information is about their own insides.
CHATTY = (
    "botocore boto3 s3transfer urllib3 httpx httpcore kombu faster_whisper alembic openai google_genai asyncio amqp"
    " celery.worker.strategy celery.app.trace celery.bootsteps opentelemetry"
).split()

_learnt: ContextVar[dict[str, object] | None] = ContextVar("learnt", default=None)
log = structlog.get_logger(__name__)


def set_up_logs(level: str, *, stream: Any = None) -> None:
    """Ours and every library's events go the same way. Call once a process."""
    out = stream or sys.stderr
    handler = logging.StreamHandler(out)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processors=_last(out), foreign_pre_chain=_common()))
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(level.upper())
    logging.captureWarnings(capture=True)
    for chatty in CHATTY:
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


def log_last_words() -> None:
    """What ends a process or a thread is an event too, on one line. For services; a command has its own way."""
    sys.excepthook = _uncaught
    threading.excepthook = lambda found: _uncaught(found.exc_type, found.exc_value, found.exc_traceback)


def _uncaught(kind: type[BaseException], error: BaseException | None, at: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt | SystemExit):
        found = (kind, error or kind(), at)
        log.critical("process.crashed", exc_info=found, thread=threading.current_thread().name)


def bound(**names: object) -> AbstractContextManager[Any]:
    """Lines written inside carry these names; what is None is left out."""
    return structlog.contextvars.bound_contextvars(
        **{name: value for name, value in names.items() if value is not None}
    )


@contextmanager
def learning() -> Iterator[None]:
    """Around one request: what `learnt` says inside, in whatever thread, is in every line from then on."""
    token = _learnt.set({})
    try:
        yield
    finally:
        _learnt.reset(token)


def learnt(**names: object) -> None:
    """Who asks, and for what, is known only some way into a request."""
    known = _learnt.get()
    if known is not None:
        known.update(names)


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Hide what is secret by its name or by its look."""
    for name, value in event.items():
        if not name.startswith("_"):  # structlog's own
            event[name] = cleaned_entry(name, value)
    return event


def _add_context(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name, value in {**(_learnt.get() or {}), **current_ids()}.items():
        event.setdefault(name, value)
    return event


def _common() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        _add_context,
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
