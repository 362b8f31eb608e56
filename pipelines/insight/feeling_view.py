"""The report's part on feeling and voices, in words: a mixin's worth of labels and figures for the templates."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipelines.insight.catalogue import Catalogue
from pipelines.insight.charts import FeelingRow, feeling_rows
from shared.domain.ids import SpeakerId
from shared.domain.insight import EmotionShares, SpeakerEmotion, SpeakerProsody
from shared.domain.result import ResultDocument

MODEL = "model"
VOICE_COLUMNS = (
    *("speaker", "pitch", "pitch_range", "level", "level_range", "pauses", "pause_length"),
    *("jitter", "shimmer", "harmonics"),
)
_OF_METRICS = (
    *("coach_speaking_ratio", "client_speaking_ratio", "gini_coefficient", "overlap_s", "silence_s"),
    *("interactivity_per_hour", "median_floor_transfer_offset_s", "patience_s", "think_time_s", "reflective_silences"),
)
_OF_SPEAKERS = (
    *("speaking", "share", "turns", "{unit}", "{unit}_pace", "longest"),
    *("questions", "fillers", "backchannels", "interruptions"),
)
_OF_FEELING = ("feeling_shares", "valence", "arousal")


@dataclass(frozen=True, slots=True)
class SharesView:
    """One speaker's bar; `parts` are kind, percent and percent in words."""

    speaker: SpeakerId
    name: str
    parts: list[tuple[str, float, str]]
    note: str


@dataclass(frozen=True)
class FeelingView:
    document: ResultDocument
    texts: Catalogue
    names: Mapping[SpeakerId | None, str]

    def note(self) -> str:
        by_model = MODEL in self.document.report.emotion_analysis.sources
        return self.texts.texts["report.feeling_note_model" if by_model else "report.feeling_note"]

    def shares(self) -> list[SharesView]:
        own = self.document.report.emotion_analysis.per_speaker
        return [self._shares(speaker, emotion) for speaker, emotion in own.items() if speaker in self.names]

    def _shares(self, speaker: SpeakerId, emotion: SpeakerEmotion) -> SharesView:
        if emotion.shares is None:
            return SharesView(speaker, self.names[speaker], [], self.texts.text("emotion.none"))
        basis = self.texts.text("emotion.basis", count=emotion.with_feeling, sentences=emotion.sentences)
        sure = self.texts.text("report.confidence", value=self.texts.percent(emotion.confidence or 0))
        return SharesView(speaker, self.names[speaker], list(self._parts(emotion.shares)), f"{basis} · {sure}")

    def _parts(self, shares: EmotionShares) -> Iterator[tuple[str, float, str]]:
        for kind in ("positive", "neutral", "negative"):
            percent: float = getattr(shares, kind)
            yield kind, percent, f"{self.texts.text(f'emotion.{kind}')} {self.texts.percent(percent / 100)}"

    def rows(self) -> list[FeelingRow]:
        return feeling_rows(self.document)

    def turns(self) -> list[tuple[float, str, str, str]]:
        """Seconds, who, what happens, quotation."""
        found = self.document.report.emotion_analysis.turns
        return [
            (turn.time, self.names.get(turn.speaker, ""), self.texts.text(f"emotion.{turn.kind}"), turn.quote or "")
            for turn in found
        ]

    def voice_columns(self) -> list[tuple[str, str]]:
        """Key and label."""
        return [(key, self.texts.text(f"column.{key}")) for key in VOICE_COLUMNS]

    def voices(self) -> list[tuple[SpeakerId, list[str]]]:
        own = self.document.prosody or {}
        return [(speaker, [self.names[speaker], *self._figures(voice)]) for speaker, voice in own.items()]

    def _figures(self, voice: SpeakerProsody) -> Iterator[str]:
        t, none = self.texts, self.texts.text("report.none")
        yield t.text("unit.hertz", value=f"{voice.pitch_median_hz:.0f}")
        yield t.text("unit.semitones", value=f"{voice.pitch_range_semitones:.1f}")
        yield t.text("unit.decibels", value=f"{voice.level_median_db:.0f}")
        yield t.text("unit.decibels", value=f"{voice.level_range_db:.0f}")
        yield f"{voice.pauses_per_minute:.1f}"
        yield none if voice.pause_median_s is None else t.seconds(voice.pause_median_s)
        yield none if voice.jitter is None else _percent(voice.jitter)
        yield none if voice.shimmer is None else _percent(voice.shimmer)
        yield t.text("unit.decibels", value=f"{voice.harmonics_to_noise_db:.1f}")

    def definitions(self) -> list[tuple[str, str, str]]:
        """Key, label and meaning of every figure that the page may show."""
        unit = str(self.document.metrics.word_unit)
        keys = [(f"metric.{key}", key) for key in _OF_METRICS]
        keys += [(f"column.{key}", key) for key in (name.format(unit=unit) for name in _OF_SPEAKERS)]
        keys += [("report.skills", "skills"), *((f"column.{key}", key) for key in _OF_FEELING)]
        keys += [(f"column.{key}", key) for key in VOICE_COLUMNS[1:]]
        return [(key, self.texts.texts[label], self.texts.texts[f"define.{key}"]) for label, key in keys]


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
