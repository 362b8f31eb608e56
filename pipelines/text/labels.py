"""What people are called in exports and reports: by name, by role, by number."""

from pipelines.insight.catalogue import catalogue
from shared.domain.ids import SpeakerId
from shared.domain.result import ResultDocument


def speaker_names(document: ResultDocument) -> dict[SpeakerId | None, str]:
    return catalogue(document.report_language).speakers(document.speakers)


def clock(seconds: float, decimal_mark: str | None = None) -> str:
    """01:02:03, with milliseconds after the mark where one is given."""
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    whole = f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}"
    return whole if decimal_mark is None else f"{whole}{decimal_mark}{rest % 1000:03d}"
