"""Write down one shard: words on the recording's own time line."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipelines.text.invented import without_invented
from shared.domain.audio import Shard
from shared.domain.transcript import Transcription, Word
from shared.ports.speech import Transcriber
from shared.ports.tick import Tick


def transcribe(
    shard: Shard,
    audio: Path,
    *,
    language: str | None,
    transcriber: Transcriber,
    tick: Tick,
    terms: Sequence[str] = (),
) -> Transcription:
    """`audio` is the shard's own file; only the stretches that hold speech are given to the recogniser."""
    heard = transcriber.transcribe(audio, speech=shard.speech, language=language, tick=tick, terms=terms)
    spoken = language or (heard.language.code if heard.language else None)
    words, invented = without_invented(heard.words, spoken)
    return Transcription(
        shard=shard.index,
        channel=shard.channel,
        language=heard.language,
        words=tuple(_on_time_line(word, shard) for word in words),
        dropped=heard.dropped + invented,
        provenance=transcriber.provenance,
    )


def _on_time_line(word: Word, shard: Shard) -> Word:
    """The shard's start counts in whole samples, so that shards meet exactly and nothing drifts."""
    end_s = shard.start_s + shard.duration_s
    return replace(
        word,
        start_s=min(shard.start_s + word.start_s, end_s),
        end_s=min(shard.start_s + word.end_s, end_s),
    )
