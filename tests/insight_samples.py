"""Small conversations for the tests of analysis and report: said line by line, heard without error."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pipelines.insight.conversation import Conversation
from pipelines.stages.analyze import analyze
from pipelines.stages.synthesize import Known, synthesize
from pipelines.text.attribution import attribute
from pipelines.text.segments import build_transcript
from shared.domain.audio import LanguageGuess, MediaFacts, PreparedAudio, Shard, SourceAudio, Span, Track
from shared.domain.ids import JobId, OwnerId, SpeakerId
from shared.domain.insight import Analysis
from shared.domain.job import Job, JobOptions, JobStatus, JobWarning, Source, SourceKind, Stage
from shared.domain.transcript import Diarization, Provenance, SpeakerTurn, Transcription, Word
from shared.domain.wire import result_to_dict

Line = tuple[str, float, float, str]  # speaker, start_s, end_s, text; the text's spaces part its words

ENGINE = Provenance("test", "spoken by heart", "1")
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)

COACHING: tuple[Line, ...] = (
    ("S1", 0, 4, "Hello, what would you like to talk about today?"),
    ("S2", 5, 20, "I feel stressed because my team does not talk to me. I called a meeting but nobody came."),
    ("S1", 20.5, 24, "It sounds like you felt alone. What happened then?"),
    ("S2", 25, 40, "Well, um, I went home and I, uh, I thought about quitting the job."),
    ("S1", 40.2, 45, "Have you told your boss? Did you ask for help?"),
    ("S2", 46, 60, "No. I have not. I will talk to my boss by Friday."),
    ("S1", 60.2, 66, "That's great. You've made a big step."),
    ("S2", 66.5, 70, "Thank you."),
)
# The coach comes in a second before the client has finished.
INTERRUPTED: tuple[Line, ...] = tuple(
    (who, 39.0 if start_s == 40.2 else start_s, end_s, text) for who, start_s, end_s, text in COACHING
)
COACHING_JA: tuple[Line, ...] = (
    ("S1", 0, 4, "今日は どんな ことを 話したい ですか？"),
    ("S2", 5, 20, "えーと、 チームが あまり 話して くれなくて、 とても 不安です。"),
    ("S1", 20.5, 24, "それは つらかったんですね。 その後 どう なりましたか？"),
    ("S2", 25, 40, "仕事を 辞めようかと 考えました。"),
    ("S1", 40.2, 45, "上司には 話しましたか？"),
    ("S2", 46, 60, "いいえ。 来週までに 上司に 話してみます。"),
    ("S1", 60.2, 66, "素晴らしいですね。"),
    ("S2", 66.5, 70, "ありがとうございます。"),
)
COACHING_ZH: tuple[Line, ...] = (
    ("S1", 0, 4, "你 今天 想 談 什麼？"),
    ("S2", 5, 20, "嗯， 我的 團隊 都 不跟 我 說話， 我 很 擔心。"),
    ("S1", 20.5, 24, "聽起來 你 覺得 很 孤單。 後來 怎麼 了？"),
    ("S2", 25, 40, "我 回家 以後 想 辭職。"),
    ("S1", 40.2, 45, "你 跟 主管 說過 了嗎？"),
    ("S2", 46, 60, "還沒有。 我 下週 會 跟 主管 談。"),
    ("S1", 60.2, 66, "很棒。"),
    ("S2", 66.5, 70, "謝謝。"),
)
UNSPACED = ("ja", "zh")


def words_of(line: Line, language: str = "en") -> list[Word]:
    """The line's words, evenly spread over its time."""
    _, start_s, end_s, text = line
    texts, gap = text.split(" "), "" if language in UNSPACED else " "
    step_s = (end_s - start_s) / len(texts)
    return [Word(start_s + n * step_s, start_s + (n + 1) * step_s, gap + word, 0.9) for n, word in enumerate(texts)]


def turns_of(lines: Sequence[Line]) -> tuple[SpeakerTurn, ...]:
    return tuple(SpeakerTurn(start_s, end_s, SpeakerId(speaker)) for speaker, start_s, end_s, _ in lines)


def exclusive_of(turns: Sequence[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Each turn from where the one before ends."""
    cut, end_s = [], 0.0
    for turn in turns:
        if turn.end_s > end_s:
            cut.append(replace(turn, start_s=max(turn.start_s, end_s)))
            end_s = turn.end_s
    return tuple(cut)


def transcription_of(lines: Sequence[Line], language: str = "en", channel: int | None = None) -> Transcription:
    words = tuple(word for line in lines for word in words_of(line, language))
    return Transcription(channel or 0, channel, LanguageGuess(language, 0.9), words, 0, ENGINE)


def diarization_of(lines: Sequence[Line]) -> Diarization:
    turns = turns_of(lines)
    speakers = tuple(dict.fromkeys(turn.speaker for turn in turns))
    return Diarization(turns, exclusive_of(turns), speakers, {}, None, ENGINE)


def prepared_of(lines: Sequence[Line], language: str = "en", duration_s: float = 72.0) -> PreparedAudio:
    speech = tuple(Span(start_s, end_s) for _, start_s, end_s, _ in lines)
    samples = round(duration_s * 16_000)
    shards = (Shard(0, "shard-0.flac", None, 0, samples, speech),) if lines else ()
    guess = LanguageGuess(language, 0.9) if lines else None
    return PreparedAudio(duration_s, samples, Track("audio.flac", None, -20.0, speech), (), shards, guess, False)


def analysis_of(lines: Sequence[Line], language: str = "en", **options: Any) -> Analysis:
    return analyze(
        options=JobOptions(**options),
        prepared=prepared_of(lines, language),
        transcriptions=[transcription_of(lines, language)] if lines else [],
        diarization=diarization_of(lines) if lines else None,
    )


def conversation_of(lines: Sequence[Line], language: str = "en") -> Conversation:
    diarization = diarization_of(lines)
    spoken = attribute([transcription_of(lines, language)], diarization.exclusive, {})
    return Conversation.of(diarization.turns, build_transcript(spoken).segments, language)


def job_of(warnings: tuple[JobWarning, ...] = (), **options: Any) -> Job:
    return Job(
        id=JobId("3f0c0e0e-1111-4222-8333-abcdefabcdef"),
        owner_id=OwnerId("0d1f0b1c-0000-4000-8000-000000000001"),
        session_id="session-1",
        status=JobStatus.RUNNING,
        source=Source(SourceKind.UPLOAD, "an upload"),
        options=JobOptions(**options),
        webhook=None,
        stage=Stage.SYNTHESIZE,
        percent=95.0,
        eta_s=None,
        attempts=1,
        error=None,
        warnings=warnings,
        created_at=NOW,
        updated_at=NOW,
        finished_at=None,
    )


def known_of(lines: Sequence[Line], language: str = "en", job: Job | None = None, **options: Any) -> Known:
    facts = MediaFacts(72.0, 48_000, 2, "aac", "mov,mp4,m4a", 1_000_000)
    return Known(
        job=job or job_of(**options),
        source=SourceAudio("ab" * 32, facts, "upload"),
        prepared=prepared_of(lines, language),
        analysis=analysis_of(lines, language, **options),
        provenance={Stage.TRANSCRIBE: ENGINE, Stage.DIARIZE: ENGINE},
        timings={Stage.DOWNLOAD: 0.1, Stage.TRANSCRIBE: 7.2},
    )


def result_of(lines: Sequence[Line], language: str = "en", **options: Any) -> dict[str, Any]:
    """The result document as the API serves it."""
    known = known_of(lines, language, **options)
    return result_to_dict(synthesize(known, synthesizer=None, workdir=Path(), now=NOW).document)
