"""The report's texts in three languages: flat keys in shared/locales/<language>.json, placeholders in braces."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pipelines.text.script import base_language
from shared.domain.ids import SpeakerId
from shared.domain.insight import Role, Speaker

REPORT_LANGUAGES = ("en", "ja", "zh-TW")
_BY_RECORDING = {"en": "en", "ja": "ja", "zh": "zh-TW"}


def report_language(asked: str | None, recording: str | None) -> str:
    """What the caller asked for, else the recording's language, else English."""
    if asked in REPORT_LANGUAGES:
        return asked
    return _BY_RECORDING.get(base_language(asked or recording) or "", "en")


@dataclass(frozen=True)
class Catalogue:
    language: str
    texts: Mapping[str, str]

    def text(self, key: str, **values: object) -> str:
        """Values are put in as they are: a brace inside a quotation is not a placeholder."""
        return self.texts[key].format(**values)

    def speaker(self, speaker: Speaker) -> str:
        """How a reader knows them: by name, else by role, else by number."""
        if speaker.name:
            return speaker.name
        if speaker.role is Role.UNKNOWN:
            return self.text("speaker.numbered", number=speaker.id.removeprefix("S"))
        return self.text(f"role.{speaker.role}")

    def speakers(self, speakers: tuple[Speaker, ...]) -> dict[SpeakerId | None, str]:
        """Names for all; two of the same role are told apart by number. None is somebody not known."""
        names: dict[SpeakerId | None, str] = {None: self.text("speaker.unknown")}
        plain = [self.speaker(speaker) for speaker in speakers]
        for speaker, name in zip(speakers, plain, strict=True):
            twice = plain.count(name) > 1
            names[speaker.id] = f"{name} ({speaker.id})" if twice else name
        return names

    def percent(self, ratio: float) -> str:
        return f"{ratio * 100:.0f} %" if self.language == "en" else f"{ratio * 100:.0f}%"

    def seconds(self, seconds: float) -> str:
        """Hundredths below one second, where waits are told apart."""
        return self.text("unit.seconds", value=f"{seconds:.2f}" if abs(seconds) < 1 else f"{seconds:.1f}")

    def duration(self, seconds: float) -> str:
        """Minutes and seconds; seconds alone below a minute."""
        minutes, rest = divmod(round(seconds), 60)
        return self.text("unit.minutes", minutes=minutes, seconds=rest) if minutes else self.seconds(seconds)


@cache
def catalogue(language: str) -> Catalogue:
    folder = files("shared").joinpath("locales")
    return Catalogue(language, json.loads(folder.joinpath(f"{language}.json").read_text(encoding="utf-8")))
