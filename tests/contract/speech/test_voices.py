"""The installed voices, as the Synthesizer port promises them."""

import json
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from cli.demo import talk_ratio
from shared.adapters.voices import InstalledVoices
from shared.domain.errors import ProviderRejected
from shared.settings import Settings
from tests.speech_fixtures import dialogue

pytestmark = pytest.mark.contract


@pytest.fixture(scope="module")
def voices() -> InstalledVoices:
    return InstalledVoices(Settings())


@pytest.mark.parametrize(
    ("language", "engine", "text"),
    [
        ("ja", "open-jtalk", "今日はどんなことを話したいですか。"),
        ("en", "piper", "What would you like to talk about?"),
        ("zh", "espeak-ng", "您今天想谈什么?"),
    ],
)
def test_speaks_without_clipping(voices: InstalledVoices, language: str, engine: str, text: str) -> None:
    """Each language has its voice; the speech has a length, a level, and no sample beyond full scale."""
    speech = voices.speak(text, language)
    assert speech.engine == engine
    assert 1.0 < len(speech.samples) / speech.sample_rate_hz < 6.0
    assert 0.1 < float(np.abs(speech.samples).max()) <= 1.0


def test_the_same_text_always_sounds_the_same(voices: InstalledVoices) -> None:
    """What is cached by content must not depend on chance."""
    first, second = voices.speak_each(["Good morning."] * 2, "en")
    assert np.array_equal(first.samples, second.samples)


def test_text_without_sound_is_refused(voices: InstalledVoices) -> None:
    """An empty text is an error that names the engine, not a silent file."""
    with pytest.raises(ProviderRejected, match="piper"):
        voices.speak("", "en")


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_demo_conversation_is_as_its_reference_says(language: str) -> None:
    """Two people, one pause to think, one overlap, a backchannel; the recording covers every line."""
    recording, lines = dialogue(language)
    assert {line.speaker for line in lines} == {"coach", "client"}
    assert soundfile.info(recording).duration > max(line.end_s for line in lines)
    floor = [line for line in lines if line.end_s - line.start_s > 1.5]
    gaps = [later.start_s - earlier.end_s for earlier, later in pairwise(floor)]
    assert max(gaps) > 3.0
    assert min(gaps) < 0.0
    assert 0.3 < talk_ratio(lines, "coach") < 0.45
    assert json.loads(recording.with_suffix(".json").read_text())[0]["text"] == lines[0].text
