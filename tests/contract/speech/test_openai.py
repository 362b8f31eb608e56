"""The OpenAI transcriber against a server that speaks the same calls, through the real client library."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from shared.adapters.openai import PIECE_S, OpenAITranscriber, Patience
from shared.domain.audio import SAMPLE_RATE_HZ, LanguageGuess, Span
from shared.domain.errors import ProviderRejected, ProviderUnavailable, SetupError, VibeInsightError
from shared.ports.speech import Recognised
from shared.ports.tick import no_tick
from shared.settings import Settings
from tests.speech_server import Answer, TranscriptionServer, problem, serving, transcription

pytestmark = pytest.mark.contract

KEY = "sk-test-0123456789abcdef"
SPEECH = (Span(1.0, 4.0), Span(10.0, 12.0))
SAID = transcription(
    "Good morning. Sit down!", [("Good", 0.3, 0.6), ("morning", 0.6, 1.2), ("Sit", 3.9, 4.3), ("down", 4.3, 4.8)]
)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "shard.flac"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.01, 15 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    return path


def transcriber(
    server: TranscriptionServer, sleep: Callable[[float], None] = lambda _: None, **settings: str
) -> OpenAITranscriber:
    asked = Settings(openai_api_key=KEY, openai_base_url=server.base_url, **settings)
    return OpenAITranscriber(asked, patience=Patience(timeout_s=5.0, sleep=sleep))


def transcribe(port: OpenAITranscriber, recording: Path, language: str | None = None) -> Recognised:
    return port.transcribe(recording, speech=SPEECH, language=language, tick=no_tick)


def failure(recording: Path, *answers: Answer, **settings: str) -> tuple[VibeInsightError, TranscriptionServer]:
    """What the caller gets, and the server afterwards."""
    with serving(*answers) as server, pytest.raises(VibeInsightError) as caught:
        transcribe(transcriber(server, **settings), recording)
    assert KEY not in caught.value.message
    return caught.value, server


def test_words_come_back_on_the_recording_s_time_line(recording: Path) -> None:
    """Six seconds of silence were not sent; the words after them are at 10 s all the same."""
    with serving(SAID) as server:
        heard = transcribe(transcriber(server), recording)
    assert "".join(word.text for word in heard.words) == "Good morning. Sit down!"
    assert heard.words[0].start_s == pytest.approx(1.0, abs=0.01)
    assert heard.words[2].start_s == pytest.approx(10.0, abs=0.01)
    assert heard.language == LanguageGuess("en", 1.0)
    assert heard.dropped == 0


def test_the_call_is_the_documented_one(recording: Path) -> None:
    """One multipart call with the model, word times and the language; the sound is FLAC and holds speech alone."""
    with serving(SAID) as server:
        transcribe(transcriber(server), recording, language="ja")
    (asked,) = server.asked
    for part in (b"whisper-1", b"verbose_json", b"word", b"segment", b"\r\nja\r\n", b"fLaC"):
        assert part in asked
    assert server.paths == ["/v1/audio/transcriptions"]
    assert server.keys == [f"Bearer {KEY}"]
    assert len(asked) < 8 * SAMPLE_RATE_HZ * 2


def test_a_word_in_silence_is_dropped_and_counted(tmp_path: Path, recording: Path) -> None:
    """A provider invents words in silence, too."""
    invented = transcription("Good night.", [("Good", 0.3, 0.6), ("night", 3.45, 3.5)])
    with serving(invented) as server:
        port = transcriber(server)
        heard = port.transcribe(recording, speech=(Span(1.0, 2.0), Span(5.0, 5.1)), language="en", tick=no_tick)
    assert [word.text for word in heard.words] == ["Good"]
    assert heard.dropped == 1


def test_no_speech_asks_nobody(recording: Path) -> None:
    """Silence costs no money."""
    with serving(SAID) as server:
        heard = transcriber(server).transcribe(recording, speech=(), language=None, tick=no_tick)
    assert heard == Recognised((), None, 0)
    assert server.asked == []


def test_long_recordings_go_in_pieces(tmp_path: Path) -> None:
    """Each piece is far below the server's 25 MB, cut in a pause, and reported when it is done."""
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(int(2.5 * PIECE_S) * SAMPLE_RATE_HZ, np.int16), SAMPLE_RATE_HZ)
    speech = [Span(float(start), start + 8.0) for start in range(0, int(2.5 * PIECE_S) - 10, 10)]
    ticks: list[float] = []
    with serving(SAID) as server:
        transcriber(server).transcribe(path, speech=speech, language="en", tick=ticks.append)
    assert len(server.asked) == len(ticks) == 3
    assert ticks == sorted(ticks)


def test_a_busy_server_is_asked_again_when_it_says(recording: Path) -> None:
    """429 with Retry-After: waited as long as asked, then answered."""
    waits: list[float] = []
    with serving(problem(429, "slow down", retry_after="7"), SAID) as server:
        heard = transcribe(transcriber(server, waits.append), recording)
    assert len(heard.words) == 4
    assert waits == [7.0]


def test_a_server_that_asks_for_an_hour_frees_the_worker(recording: Path) -> None:
    """Longer waits are the ledger's: the stage is tried again later."""
    error, server = failure(recording, problem(429, "come back", retry_after="3600"))
    assert isinstance(error, ProviderUnavailable)
    assert len(server.asked) == 1


def test_a_broken_server_is_asked_three_times(recording: Path) -> None:
    """500 again and again: unavailable, to be tried later."""
    error, server = failure(recording, problem(500, f"trouble with {KEY}"))
    assert isinstance(error, ProviderUnavailable)
    assert error.retryable
    assert len(server.asked) == 3


def test_a_truncated_answer_is_asked_for_again(recording: Path) -> None:
    """Half a JSON, and a connection that ends early: neither is taken for a transcript."""
    half = Answer(body=SAID.body[: len(SAID.body) // 2])
    cut = Answer(body=SAID.body[:40], promised_bytes=len(SAID.body))
    with serving(half, cut, SAID) as server:
        heard = transcribe(transcriber(server), recording)
    assert len(heard.words) == 4
    assert len(server.asked) == 3


def test_a_server_that_never_answers_is_given_up(recording: Path) -> None:
    """A time-out is unavailable, not a hang."""
    hold = threading.Event()
    with serving(Answer(hold=hold)) as server:
        settings = Settings(openai_api_key=KEY, openai_base_url=server.base_url)
        port = OpenAITranscriber(settings, patience=Patience(timeout_s=0.2, attempts=2, sleep=lambda _: None))
        try:
            with pytest.raises(ProviderUnavailable, match="try again later"):
                transcribe(port, recording)
        finally:
            hold.set()
        assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("answer", "hint"),
    [
        (problem(401, f"Incorrect API key provided: {KEY}", "invalid_api_key"), "OPENAI_API_KEY"),
        (problem(429, "You exceeded your current quota", "insufficient_quota"), "billing"),
        (problem(400, "Invalid file format", "invalid_value"), "invalid_value"),
    ],
    ids=["wrong key", "no credit", "bad request"],
)
def test_a_refusal_is_final(recording: Path, answer: Answer, hint: str) -> None:
    """What another try cannot mend is not tried again, and the message says what to mend."""
    error, server = failure(recording, answer)
    assert isinstance(error, ProviderRejected)
    assert not error.retryable
    assert hint in error.message
    assert len(server.asked) == 1


def test_text_without_word_times_is_spread_over_its_speech(recording: Path) -> None:
    """gpt-4o-transcribe: short pieces, JSON, no times asked for; each word lies in the speech of its own piece."""
    answers = [Answer(body=json.dumps({"text": text}).encode()) for text in ("Good morning. Sit down!", "Thank you")]
    far = (Span(1.0, 4.0), Span(10.0, 14.0))
    with serving(*answers) as server:
        port = transcriber(server, openai_transcribe_model="gpt-4o-transcribe")
        heard = port.transcribe(recording, speech=far, language="en", tick=no_tick, terms=["Ana"])
    said = "".join(word.text for word in heard.words)
    assert said.startswith(" Good morning. Sit down!")
    assert all(any(s.start_s - 0.3 <= w.start_s <= w.end_s <= s.end_s + 0.3 for s in far) for w in heard.words)
    assert b"verbose_json" not in server.asked[0]
    assert b"timestamp_granularities" not in server.asked[0]
    assert b"Ana" in server.asked[0]
    assert port.provenance.parameters["word_times"] == "spread over stretches of speech"


def test_the_diarizing_model_gives_times_of_segments(recording: Path) -> None:
    """Its words are spread inside its segments; it is sent no prompt, which it does not take."""
    segments = [
        {
            "id": "a",
            "type": "transcript.text.segment",
            "start": 0.2,
            "end": 2.2,
            "speaker": "A",
            "text": "今日は、OKです",
        },
        {"id": "b", "type": "transcript.text.segment", "start": 2.4, "end": 3.0, "speaker": "B", "text": "はい"},
    ]
    body = {"task": "transcribe", "duration": 5.0, "text": "今日は、OKです はい", "segments": segments}
    with serving(Answer(body=json.dumps(body).encode())) as server:
        port = transcriber(server, openai_transcribe_model="gpt-4o-transcribe-diarize")
        heard = port.transcribe(recording, speech=SPEECH, language="ja", tick=no_tick, terms=["Ana"])
    assert "".join(word.text.strip() for word in heard.words) == "今日は、OKですはい"
    assert [word.text for word in heard.words][-2:] == ["は", "い"]
    assert b"diarized_json" in server.asked[0]
    assert b"Ana" not in server.asked[0]


def test_a_closed_port_is_known_to_cost_nothing(recording: Path, free_port: int) -> None:
    """No connection came about, so the gate need not keep the estimate on the bill."""
    asked = Settings(openai_api_key=KEY, openai_base_url=f"http://127.0.0.1:{free_port}/v1")
    with pytest.raises(ProviderUnavailable) as caught:
        transcribe(OpenAITranscriber(asked, patience=Patience(timeout_s=5.0, sleep=lambda _: None)), recording)
    assert caught.value.details["sent"] is False


def test_an_answer_without_text_is_tried_again(recording: Path) -> None:
    """A server that answers with something else has not written anything down."""
    error, server = failure(recording, Answer(body=b"[]"), openai_transcribe_model="gpt-4o-transcribe")
    assert isinstance(error, ProviderUnavailable)
    assert len(server.asked) == 3


@pytest.mark.parametrize("key", [None, ""])
def test_without_a_key_the_setting_is_named(recording: Path, key: str | None) -> None:
    """The message says which variable to set; an empty key, as a compose file passes it, is none."""
    with pytest.raises(SetupError, match="OPENAI_API_KEY"):
        transcribe(OpenAITranscriber(Settings(openai_api_key=key)), recording)
