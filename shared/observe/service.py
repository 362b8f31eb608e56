"""What every service does of watching when it begins, and when it ends."""

from shared.observe.logs import log_last_words, set_up_logs
from shared.observe.traces import set_up_traces, shut_down_traces
from shared.settings import Settings

_begun: list[str] = []


def begin_service(part: str, settings: Settings) -> None:
    """`part`: api, steward, worker-…; the name under which its traces are found."""
    _begun[:] = [part]
    set_up_logs(settings.log_level)
    log_last_words()
    set_up_traces(part)


def end_service() -> None:
    """Nothing, where another has begun: a test that collects spans itself."""
    if _begun:
        _begun.clear()
        shut_down_traces()
