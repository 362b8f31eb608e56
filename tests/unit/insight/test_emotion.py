"""Feeling in words and voices: what the lists and the measures say, and that they say nothing where they cannot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.insight.conversation import Conversation
from pipelines.insight.emotion.analysis import Emotions
from pipelines.insight.emotion.words import shares_of
from pipelines.insight.intervals import Speech
from pipelines.insight.language.feelings import Lexicon, lexicon_for
from pipelines.insight.prosody.hearing import hear
from pipelines.insight.roles import assign_roles
from pipelines.insight.sound import Listening, sound_of
from pipelines.stages.analyze import analyze
from shared.domain.ids import SpeakerId
from shared.domain.insight import Analysis
from shared.domain.job import JobOptions
from shared.domain.transcript import Provenance
from shared.ports.emotion import Affect
from shared.ports.speech import Samples
from shared.ports.tick import no_tick
from tests.insight_samples import (
    COACHING,
    COACHING_JA,
    COACHING_ZH,
    Line,
    analysis_of,
    conversation_of,
    diarization_of,
    prepared_of,
    transcription_of,
)

pytestmark = pytest.mark.unit

S1, S2 = SpeakerId("S1"), SpeakerId("S2")
RATE = 16_000
SAMPLES = {"en": COACHING, "ja": COACHING_JA, "zh": COACHING_ZH}
PLEASANT = {
    "en": [
        "I'm so happy with it.",
        "I'm not worried anymore.",
        "It was fun and I feel relieved.",
        "No problem, I'm glad.",
    ],
    "ja": ["とても嬉しいです。", "もう不安ではありません。", "大変嬉しいです。", "気が楽になりました。"],
    "zh": ["我很開心。", "我現在不擔心了。", "我觉得很有成就。", "這樣輕鬆多了。"],
}
UNPLEASANT = {
    "en": ["I'm not happy at all.", "I feel stressed.", "It didn't really help, I'm exhausted.", "I can't enjoy it."],
    "ja": ["全然嬉しくないです。", "自信がないんです。", "毎日がつらいです。", "楽しめないんです。"],
    "zh": ["我不開心。", "我不是很开心。", "我的團隊都不跟我說話，我很擔心。", "感觉不好。"],
}
NEITHER = {
    "en": ["Good morning.", "We met on Tuesday.", "It is a traffic light."],
    "ja": ["お疲れ様です。", "火曜日に会いました。"],
    "zh": ["没问题。", "我們星期二見面。", "差不多。"],
}
BRIGHTENING: tuple[Line, ...] = (
    ("S1", 0, 4, "Where shall we begin?"),
    ("S2", 5, 18, "I am sad and tired. It is a terrible mess. I am afraid."),
    ("S1", 19, 24, "It sounds like you are worried."),
    ("S2", 41, 58, "Now I am happy. I feel calm and proud. It was great."),
)


def _lexicon(language: str) -> Lexicon:
    lexicon = lexicon_for(language)
    assert lexicon is not None
    return lexicon


@pytest.mark.parametrize(
    ("language", "sentence", "sign"),
    [
        (language, sentence, sign)
        for sign, said in ((1, PLEASANT), (-1, UNPLEASANT), (0, NEITHER))
        for language, sentences in said.items()
        for sentence in sentences
    ],
)
def test_words_are_pleasant_or_not(language: str, sentence: str, sign: int) -> None:
    """By list, turned round where denied; set phrases count for nothing."""
    assert np.sign(_lexicon(language).tone(sentence).polarity) == sign


def test_no_word_is_in_both_lists() -> None:
    """A word has one sign, and each list has enough to be of use."""
    for language in ("en", "ja", "zh"):
        lexicon = _lexicon(language)
        pleasant, unpleasant = (set(p.pattern.split("|")) for p in (lexicon.positive, lexicon.negative))
        assert not pleasant & unpleasant
        assert min(len(pleasant), len(unpleasant)) >= 60


@pytest.mark.parametrize("language", SAMPLES)
def test_shares_of_both_sum_to_a_hundred(language: str) -> None:
    """In three languages: the client's trouble shows, and the figures are of words."""
    found = analysis_of(SAMPLES[language], language).report.emotion_analysis
    assert found.sources == ("words",)
    for shares in (found.coach, found.client):
        assert shares is not None
        assert shares.positive + shares.neutral + shares.negative == pytest.approx(100)
    assert found.client is not None
    assert found.client.negative > 0
    own = found.per_speaker[S2]
    assert own.valence is not None
    assert own.confidence is not None
    assert 0 < own.confidence <= 0.35


@given(st.lists(st.tuples(st.integers(1, 60_000), st.sampled_from([-1, 0, 1])), min_size=1, max_size=30))
@settings(max_examples=200, deadline=None)
def test_shares_always_sum_to_a_hundred(said: list[tuple[int, int]]) -> None:
    """However the time falls, to a tenth, and nothing is negative."""
    from pipelines.insight.emotion.words import Felt
    from pipelines.insight.language.feelings import Tone

    sentence = conversation_of(COACHING).sentences[0]
    felt = [Felt(sentence, ms, Tone(int(sign > 0), int(sign < 0))) for ms, sign in said]
    shares = shares_of(felt)
    assert shares is not None
    parts = (shares.positive, shares.neutral, shares.negative)
    assert sum(parts) == pytest.approx(100)
    assert min(parts) >= 0


def test_a_question_or_a_reflection_is_not_ones_own_feeling() -> None:
    """Who asks "Are you worried?" or says "You felt alone" is not worried."""
    lines: list[Line] = [
        ("S1", 0, 8, "Are you worried? It sounds like you felt alone."),
        ("S2", 9, 16, "I am worried."),
        ("S1", 17, 25, "Were you afraid? So you are sad."),
        ("S2", 26, 34, "I am afraid. I am sad."),
    ]
    found = analysis_of(lines, roles=("coach", "client")).report.emotion_analysis
    assert found.coach is not None
    assert found.coach.neutral == 100
    assert found.client is not None
    assert found.client.negative == 100


def test_the_moment_of_a_turn() -> None:
    """From unpleasant to pleasant, with the client's own words and their time."""
    analysis = analysis_of(BRIGHTENING, roles=("coach", "client"))
    (turn,) = analysis.report.emotion_analysis.turns
    assert (turn.kind, turn.speaker, turn.before, turn.after) == ("brightens", S2, -1.0, 1.0)
    segment = next(s for s in analysis.transcript.segments if s.id == turn.segment_id)
    assert turn.quote == segment.text == "Now I am happy."
    assert turn.time == segment.start_s


def test_too_few_words_are_not_judged() -> None:
    """Null with a reason, for a short talk and for a language without lists."""
    for lines, language, code in ((COACHING[:2], "en", "too_few_words"), (COACHING, "fr", "language_without_lexicon")):
        analysis = analysis_of(lines, language, roles=("coach", "client"))
        assert analysis.report.emotion_analysis.coach is None
        reasons = {missing.path: missing.code for missing in analysis.not_measured}
        assert reasons["report.emotion_analysis.coach"] == code
        assert reasons["prosody"] == "sound_not_heard"


def _talk(stirred: range) -> tuple[Samples, Conversation]:
    """Eight windows of one voice; in some it is higher, louder, livelier."""
    sound = np.concatenate([_voice(n, excited=n in stirred) for n in range(8)]).astype(np.float32)
    return sound, Conversation((Speech(0, len(sound) * 1000 // RATE, S1),), (), "en")


def _voice(seed: int, *, excited: bool) -> Samples:
    seconds = np.arange(RATE * 20) / RATE
    swing, middle, loud = (30, 190, 0.4) if excited else (6, 120, 0.1)
    hertz = middle + swing * np.sin(2 * np.pi * 0.7 * seconds + seed)
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    sound = sum(np.sin(n * phase) / n ** (1.2 if excited else 2) for n in range(1, 12))
    return np.asarray(loud * sound / 3, np.float32)


def test_a_stirred_voice_is_heard_against_its_own_usual() -> None:
    """Two of eight windows are higher, louder and livelier: those have arousal, the others have not."""
    sound, conversation = _talk(range(5, 7))
    emotions = Emotions(conversation, hear(sound, conversation, no_tick))
    found = emotions.analysis(assign_roles(conversation, (), {}))
    arousal = [point.arousal for point in found.timeline]
    assert all(value is not None for value in arousal)
    assert min(arousal[n] or 0 for n in (5, 6)) > 0.7
    assert max(abs(arousal[n] or 0) for n in (0, 1, 2, 3, 4, 7)) < 0.3
    assert [(turn.kind, turn.time) for turn in found.turns] == [("stirs", 100.0), ("calms", 140.0)]
    assert found.sources == ("words", "voice")


def test_a_loud_person_is_not_a_stirred_one() -> None:
    """Who speaks like that all the time has a usual of their own."""
    sound, conversation = _talk(range(8))
    found = Emotions(conversation, hear(sound, conversation, no_tick)).analysis(())
    assert all(abs(point.arousal or 0) < 0.3 for point in found.timeline)


class Judge:
    """A model that hears delight in everything."""

    provenance = Provenance("test", "delight", "1")

    def __init__(self) -> None:
        self.lengths: list[int] = []

    def judge(self, samples: Samples) -> Affect:
        self.lengths.append(len(samples))
        return Affect(0.9, 0.4)


def test_a_model_is_asked_for_each_window_and_named() -> None:
    """One voice alone at a time, at most ten seconds; its word stands, and the provenance says whose it is."""
    judge, sound = Judge(), np.concatenate([_voice(n, excited=False) for n in range(4)])
    conversation = conversation_of(COACHING)
    assert sound_of(Listening(sound, judge), conversation).judged
    assert max(judge.lengths) <= 10 * RATE
    analysis = _heard(Listening(sound, judge))
    emotion = analysis.report.emotion_analysis
    assert "model" in emotion.sources
    assert {p.valence for p in emotion.timeline if p.arousal == 0.4} == {0.9}
    assert analysis.provenance.parameters["emotion"]["model"] == "delight"
    assert analysis.prosody


def _heard(listening: Listening) -> Analysis:
    return analyze(
        options=JobOptions(),
        prepared=prepared_of(COACHING),
        transcriptions=[transcription_of(COACHING)],
        diarization=diarization_of(COACHING),
        listening=listening,
    )


@given(st.integers(0, 5_000), st.sampled_from(sorted(SAMPLES)))
@settings(max_examples=30, deadline=None)
def test_later_or_called_otherwise_nothing_is_felt_otherwise(shift_s: int, language: str) -> None:
    """A talk that starts later, with the names of the two exchanged, has the same figures under the other names."""
    other = {"S1": "S2", "S2": "S1"}
    moved: list[Line] = [(other[who], a + shift_s, b + shift_s, text) for who, a, b, text in SAMPLES[language]]
    now = Emotions(conversation_of(SAMPLES[language], language)).analysis(())
    then = Emotions(conversation_of(moved, language)).analysis(())
    assert {other[speaker]: own for speaker, own in now.per_speaker.items()} == then.per_speaker
    assert [(p.shares, p.valence) for p in sorted(now.timeline, key=lambda p: (p.start_s, other[p.speaker]))] == [
        (p.shares, p.valence) for p in then.timeline
    ]
