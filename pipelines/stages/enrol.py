"""Enrol a voice: one person's speech in, one unit vector out; or a refusal that says what to do better.

Not a stage of a job: a sample has no transcript and no report. It is listened to on the diarize queue, by the same
networks that later hear the speakers of a recording, so that both vectors are of one kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from pipelines.audio.voiceprints import is_telephone, speech_of, through_telephone
from shared.domain.audio import SAMPLE_RATE_HZ, Span
from shared.domain.errors import MediaError
from shared.domain.ids import SpeakerId
from shared.ports.speech import Diarizer, Samples, SpeakerEmbedder
from shared.ports.tick import Tick

LEAST_SPEECH_S = 10.0  # from here on the vector hardly changes with what is said
MOST_SPEECH_S = 90.0  # 60 s are asked for; more makes nothing better, and is rather a whole recording sent by mistake
LEAST_SNR_DB = 10.0  # a voice in babble at 12 dB is still found again; below that the babble is enrolled, too
MOST_CLIPPED = 0.005  # share of the samples at the limit: more is a recording driven too loud
CLIPPED_AT = 0.995
OTHER_VOICE_S = 1.5  # a cough or a laugh is nobody else
LEVEL_FRAME_S = 0.03


class VoiceRefused(MediaError):
    """The sample will not do."""


class VoiceTooShort(VoiceRefused):
    code = "voice_too_short"


class VoiceTooLong(VoiceRefused):
    code = "voice_too_long"


class VoiceNoisy(VoiceRefused):
    code = "voice_noisy"


class VoiceDistorted(VoiceRefused):
    code = "voice_distorted"


class VoiceNotAlone(VoiceRefused):
    code = "voice_not_alone"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The voice in a telephone's band, and in the full one where the sample has it."""

    wide: tuple[float, ...] | None
    telephone: tuple[float, ...]
    model: str
    speech_s: float


def enrol(
    audio: Path, speech: Sequence[Span], *, diarizer: Diarizer, embedder: SpeakerEmbedder, tick: Tick
) -> Enrolled:
    """`audio`: 16 kHz mono FLAC. `speech`: its voice activity. Raises VoiceRefused."""
    speech_s = sum(span.duration_s for span in speech)
    _check_length(speech_s)
    _check_sound(_read(audio), speech)
    heard = diarizer.diarize(audio, speakers=None, tick=tick)
    main = _only_voice({s: sum(t.duration_s for t in heard.turns if t.speaker == s) for s in heard.speakers})
    with soundfile.SoundFile(audio) as file:
        own = speech_of(file, [Span(turn.start_s, turn.end_s) for turn in heard.exclusive if turn.speaker == main])
    telephone = is_telephone(own)
    return Enrolled(
        wide=None if telephone else embedder.embed(own),
        telephone=embedder.embed(own if telephone else through_telephone(own)),
        model=embedder.model,
        speech_s=round(speech_s, 1),
    )


def _check_length(speech_s: float) -> None:
    if speech_s < LEAST_SPEECH_S:
        raise VoiceTooShort(f"The sample holds {speech_s:.1f} s of speech; 10 to 60 s are needed")
    if speech_s > MOST_SPEECH_S:
        raise VoiceTooLong(f"The sample holds {speech_s:.0f} s of speech; send 10 to 60 s of it")


def _check_sound(samples: Samples, speech: Sequence[Span]) -> None:
    clipped = float((np.abs(samples) >= CLIPPED_AT).mean()) if len(samples) else 0.0
    if clipped > MOST_CLIPPED:
        raise VoiceDistorted(f"{100 * clipped:.1f} % of the sample is overdriven; record it with less gain")
    snr_db = signal_to_noise_db(samples, speech)
    if snr_db < LEAST_SNR_DB:
        raise VoiceNoisy(f"The voice stands only {snr_db:.0f} dB above the noise; record it in a quieter place")


def signal_to_noise_db(samples: Samples, speech: Sequence[Span]) -> float:
    """Level of the loud frames of speech above that of the quietest tenth of all frames: pauses, if only between
    syllables. In steady noise the two draw near to each other, however the voice activity fared."""
    size = int(LEVEL_FRAME_S * SAMPLE_RATE_HZ)
    frames = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.maximum((frames.astype(np.float64) ** 2).mean(axis=1), 1e-12)
    middles_s = (np.arange(len(power)) + 0.5) * LEVEL_FRAME_S
    spoken = np.zeros(len(power), bool)
    for span in speech:
        spoken |= (middles_s >= span.start_s) & (middles_s < span.end_s)
    if not spoken.any():
        return 0.0
    return float(10 * np.log10(np.quantile(power[spoken], 0.75) / np.quantile(power, 0.1)))


def _only_voice(seconds: dict[SpeakerId, float]) -> SpeakerId:
    main = max(seconds, key=lambda speaker: seconds[speaker], default=None)
    if main is None or seconds[main] < LEAST_SPEECH_S / 2:
        raise VoiceTooShort("No clear voice was found in the sample; record 10 to 60 s of plain speech")
    others_s = sum(own_s for speaker, own_s in seconds.items() if speaker != main)
    if others_s >= OTHER_VOICE_S:
        raise VoiceNotAlone(
            f"{len(seconds)} voices speak in the sample, the others for {others_s:.0f} s; send one alone"
        )
    return main


def _read(audio: Path) -> Samples:
    samples, _ = soundfile.read(audio, dtype="float32")
    return np.asarray(samples, np.float32)
