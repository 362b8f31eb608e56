"""What the report shows, in words: a result document turned into labels and figures for the templates."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipelines.insight.catalogue import Catalogue, catalogue
from pipelines.insight.charts import ShareChart, TurnChart, share_chart, turn_chart
from pipelines.insight.feeling_view import FeelingView
from pipelines.text.exports import paragraph_text, paragraphs
from pipelines.text.labels import clock, speaker_names
from shared.domain.ids import SpeakerId
from shared.domain.insight import Basis, Skill, SpeakerMetrics
from shared.domain.result import ResultDocument

MOST_EVENTS = 40  # a page of moments; all of them are in the JSON document
COLOURS = 6  # of speakers in the style sheet; with more they come round again
SKILLS = ("listening", "questioning", "empathy", "feedback")
_RATIOS = ("coach_speaking_ratio", "client_speaking_ratio")
_SECONDS = ("overlap_s", "silence_s", "median_floor_transfer_offset_s", "patience_s", "think_time_s")


@dataclass(frozen=True, slots=True)
class SkillView:
    name: str
    score: float | None
    shown: str
    confidence: str
    rationale: str
    examples: tuple[tuple[str, str], ...]  # time, quotation


@dataclass(frozen=True, slots=True)
class ShareView:
    speaker: SpeakerId
    name: str
    share: float
    shown: str


@dataclass(frozen=True, slots=True)
class CodesView:
    phases: list[tuple[str, str]]  # from when to when, name
    moves: list[tuple[str, int]]  # kind, how often suggested
    markers: list[tuple[str, str, str, str]]  # time, number, meaning, quotation


@dataclass(frozen=True)
class ReportView:
    """One method for each part of the page; templates hold no logic beyond loops."""

    document: ResultDocument

    @cached_property
    def texts(self) -> Catalogue:
        return catalogue(self.document.report_language)

    @cached_property
    def names(self) -> Mapping[SpeakerId | None, str]:
        return speaker_names(self.document)

    def colour(self, speaker: SpeakerId | None) -> int:
        """1 to COLOURS by order of first speech, 0 for nobody."""
        order = [known.id for known in self.document.speakers]
        return order.index(speaker) % COLOURS + 1 if speaker in order else 0

    def at(self, seconds: float) -> str:
        """Hours only where the recording has them."""
        shown = clock(seconds)
        return shown if self.document.audio.duration_s >= 3600 else shown.removeprefix("00:")

    def facts(self) -> list[tuple[str, str]]:
        job, language = self.document.job, self.document.language
        found = [("recorded", self.texts.duration(self.document.audio.duration_s))]
        if language:
            found.append(("language", f"{language.code} ({self.texts.percent(language.confidence)})"))
        found += [("finished", f"{job.finished_at:%Y-%m-%d %H:%M %Z}".strip()), ("job", str(job.id))]
        return [(self.texts.text(f"report.{key}"), value) for key, value in found]

    def warnings(self) -> list[str]:
        return [self.texts.texts.get(f"warning.{w.code}", w.message) for w in self.document.job.warnings]

    def shares(self) -> list[ShareView]:
        own = self.document.metrics.per_speaker or {}
        return [
            ShareView(s, self.names[s], metrics.share, self.texts.percent(metrics.share)) for s, metrics in own.items()
        ]

    def skills(self) -> list[SkillView]:
        skills = self.document.report.coaching_skills
        named = {name: getattr(skills, name) for name in SKILLS}
        return [self._skill(name, skill) for name, skill in named.items()]

    def skills_note(self) -> str:
        """By what the scores were made."""
        made_by = {self.document.report.basis.get(f"coaching_skills.{name}", Basis.RULES) for name in SKILLS}
        key = "_mixed" if len(made_by) > 1 else "_model" if Basis.MODEL in made_by else ""
        return self.texts.texts[f"report.skills_note{key}"]

    def _skill(self, name: str, skill: Skill) -> SkillView:
        scored = skill.score is not None and skill.confidence is not None
        return SkillView(
            name=self.texts.text(f"skill.{name}"),
            score=skill.score,
            shown=f"{skill.score:.1f} / 5" if scored else self.texts.text("report.not_scored"),
            confidence=self.texts.text("report.confidence", value=self.texts.percent(skill.confidence or 0))
            if scored
            else "",
            rationale=skill.rationale,
            examples=tuple((self.at(example.start_s), example.quote) for example in skill.examples),
        )

    def prescriptions(self) -> list[tuple[str, str, str, str]]:
        """Title, text, time, quotation; the last two may be empty."""
        return [
            (p.title, p.text, "" if p.start_s is None else self.at(p.start_s), p.quote or "")
            for p in self.document.report.prescriptions
        ]

    def codes(self) -> CodesView | None:
        """What a model suggests of phases, moves and markers; None without one."""
        codes = self.document.report.codes
        if codes is None:
            return None
        return CodesView(
            phases=[
                (f"{self.at(span.start_s)} – {self.at(span.end_s)}", self.texts.text(f"phase.{span.phase}"))
                for span in codes.phases
            ],
            moves=[
                (self.texts.text(f"move.{kind}"), count) for kind, count in Counter(m.kind for m in codes.moves).items()
            ],
            markers=[(self.at(m.start_s), m.marker, m.meaning, m.quote) for m in codes.markers],
        )

    @cached_property
    def feeling(self) -> FeelingView:
        return FeelingView(self.document, self.texts, self.names)

    def metrics(self) -> list[tuple[str, str, str]]:
        """Key of the definition, label, figure."""
        metrics = self.document.metrics
        shown: dict[str, str | None] = {name: self._ratio(getattr(metrics, name)) for name in _RATIOS}
        shown |= {name: self._seconds(getattr(metrics, name)) for name in _SECONDS}
        shown["gini_coefficient"] = _number(metrics.gini_coefficient, 3)
        shown["interactivity_per_hour"] = _number(metrics.interactivity_per_hour, 0)
        shown["reflective_silences"] = str(len(metrics.reflective_silences))
        return [(name, self.texts.text(f"metric.{name}"), value) for name, value in shown.items() if value is not None]

    def _ratio(self, value: float | None) -> str | None:
        return None if value is None else self.texts.percent(value)

    def _seconds(self, value: float | None) -> str | None:
        return None if value is None else self.texts.seconds(value)

    def speaker_columns(self) -> list[tuple[str, str]]:
        """Key of the definition and label."""
        unit = self.document.metrics.word_unit
        keys = ["speaker", "speaking", "share", "turns", str(unit), f"{unit}_pace", "longest"]
        keys += ["questions", "fillers", "backchannels", "interruptions"]
        return [(key, self.texts.text(f"column.{key}")) for key in keys]

    def speaker_rows(self) -> list[tuple[SpeakerId, list[str]]]:
        own = self.document.metrics.per_speaker or {}
        return [(speaker, [self.names[speaker], *self._figures(metrics)]) for speaker, metrics in own.items()]

    def _figures(self, own: SpeakerMetrics) -> Iterator[str]:
        none = self.texts.text("report.none")
        yield self.texts.duration(own.speaking_s)
        yield self.texts.percent(own.share)
        yield from (str(own.turns), str(own.words), _number(own.words_per_minute, 0) or none)
        yield self.texts.duration(own.longest_turn_s)
        opened = none if own.open_questions is None else str(own.open_questions)
        yield none if own.questions is None else f"{own.questions} ({opened})"
        yield none if own.fillers is None else str(own.fillers)
        yield from (str(own.backchannels), str(own.interruptions))

    def events(self) -> list[tuple[str, str, str, str]]:
        """Time, kind, length, description."""
        return [
            (self.at(e.time), self.texts.text(f"event_type.{e.type}"), self.texts.seconds(e.duration), e.description)
            for e in self.document.report.conversation_events[:MOST_EVENTS]
        ]

    def events_left_out(self) -> str:
        more = len(self.document.report.conversation_events) - MOST_EVENTS
        return self.texts.text("report.events_more", count=more) if more > 0 else ""

    def actions(self) -> list[tuple[str, str, str]]:
        """Time, owner, text."""
        starts = {segment.id: segment.start_s for segment in self.document.transcript.segments}
        owners = {str(s.role): self.names[s.id] for s in self.document.speakers}
        owners |= {str(s.id): self.names[s.id] for s in self.document.speakers}
        return [
            (self.at(starts.get(item.segment_id, 0.0)), owners.get(item.owner, self.names[None]), item.text)
            for item in self.document.report.action_items
        ]

    def transcript(self) -> list[tuple[str, SpeakerId | None, str, str]]:
        """Time, speaker, name, text."""
        return [
            (self.at(p[0].start_s), p[0].speaker, self.names[p[0].speaker], paragraph_text(p))
            for p in paragraphs(self.document.transcript.segments)
        ]

    def not_measured(self) -> list[tuple[str, str]]:
        """Each reason once, with the fields it explains."""
        paths: dict[str, list[str]] = {}
        for missing in self.document.not_measured:
            paths.setdefault(missing.reason, []).append(missing.path)
        return [(reason, ", ".join(fields)) for reason, fields in paths.items()]

    def provenance(self) -> list[Sequence[str]]:
        """Stage, engine, seconds worked, share of real time."""
        none, timings = self.texts.text("report.none"), self.document.timings
        engines = {stage: f"{p.provider} {p.model} {p.version}" for stage, p in self.document.provenance.items()}
        return [
            (stage, engines.get(stage, none), self.texts.seconds(timing.seconds), f"{timing.real_time_factor:.3f}")
            for stage, timing in timings.items()
        ]

    def turn_chart(self) -> TurnChart | None:
        return turn_chart(self.document)

    def share_chart(self) -> ShareChart | None:
        return share_chart(self.document)


def _number(value: float | None, decimals: int) -> str | None:
    return None if value is None else f"{value:.{decimals}f}"
