"""Which hint decides who is the coach, and what becomes of hints that contradict each other."""

from dataclasses import replace

import pytest

from pipelines.insight.roles import Hints, contradicted, roles_from
from pipelines.insight.voices import SAME_VOICE, match_voices
from pipelines.stages.analyze import analyze
from shared.domain.ids import SpeakerId, VoiceId
from shared.domain.insight import Role, RoleSource
from shared.domain.job import JobOptions
from shared.domain.speakers import KnownVoice, SpeakerChange, VoiceMatch
from shared.domain.transcript import Diarization
from tests.insight_samples import (
    COACHING,
    COACHING_JA,
    COACHING_ZH,
    conversation_of,
    diarization_of,
    prepared_of,
    transcription_of,
)

pytestmark = pytest.mark.unit

S1, S2 = SpeakerId("S1"), SpeakerId("S2")
TALK = conversation_of(COACHING)


def match(role: Role, confidence: float = 0.95, label: str = "Ana") -> VoiceMatch:
    return VoiceMatch(VoiceId(f"{role}-voice"), label, role, 0.8, confidence)


def found(hints: Hints) -> dict[SpeakerId, tuple[Role, RoleSource]]:
    return {speaker.id: (speaker.role, speaker.role_source) for speaker in roles_from(TALK, hints)}


def test_an_enrolled_coach_is_the_coach() -> None:
    """Even against the order of roles that came with the recording; the other of two is the client."""
    hints = Hints(roles=("coach", "client"), matches={S2: match(Role.COACH)})
    assert found(hints) == {S1: (Role.CLIENT, RoleSource.ENROLLED_VOICE), S2: (Role.COACH, RoleSource.ENROLLED_VOICE)}
    assert contradicted(TALK, hints)


def test_an_enrolled_client_makes_the_other_of_two_the_coach() -> None:
    """With less confidence than the voice itself has."""
    first, second = roles_from(TALK, Hints(matches={S2: match(Role.CLIENT)}))
    assert (first.role, second.role) == (Role.COACH, Role.CLIENT)
    assert first.role_confidence is not None
    assert second.role_confidence is not None
    assert first.role_confidence < second.role_confidence


def test_a_voice_that_agrees_contradicts_nothing() -> None:
    """The reader is told only of what differs."""
    assert not contradicted(TALK, Hints(roles=("coach", "client"), matches={S1: match(Role.COACH)}))


def test_a_voice_without_a_role_gives_a_name_alone() -> None:
    """Who is coach is then judged as without it."""
    hints = Hints(matches={S1: match(Role.UNKNOWN)})
    speaker = roles_from(TALK, hints)[0]
    assert (speaker.name, speaker.role_source) == ("Ana", RoleSource.BEHAVIOUR)


def test_what_somebody_said_stands_above_all() -> None:
    """A correction holds against a voice, and gives the name."""
    said = SpeakerChange(roles={S1: Role.COACH, S2: Role.CLIENT}, names={S1: "Ben"})
    hints = Hints(said=said, matches={S2: match(Role.COACH)})
    assert found(hints) == {S1: (Role.COACH, RoleSource.GIVEN), S2: (Role.CLIENT, RoleSource.GIVEN)}
    assert roles_from(TALK, hints)[0].name == "Ben"


@pytest.mark.parametrize(
    ("lines", "language"), [(COACHING, "en"), (COACHING_JA, "ja"), (COACHING_ZH, "zh")], ids=["en", "ja", "zh"]
)
def test_behaviour_finds_the_coach_whoever_begins(lines: tuple, language: str) -> None:
    """In three languages, and also when the ids are the other way round."""
    turned = tuple(("S2" if who == "S1" else "S1", *rest) for who, *rest in lines)
    for talk, coach in ((lines, S1), (turned, S2)):
        speakers = roles_from(conversation_of(talk, language), Hints())
        assert [s.id for s in speakers if s.role is Role.COACH] == [coach]


@pytest.mark.parametrize("language", ["en", "zh", "de"])
def test_the_wrong_language_decides_nothing(language: str) -> None:
    """Japanese taken for another language: no rule fits, so nobody is made coach by chance."""
    unmarked = tuple((who, a, b, text.replace("？", "。").replace("か。", "。")) for who, a, b, text in COACHING_JA)
    speakers = roles_from(conversation_of(unmarked, language), Hints())
    assert {speaker.role for speaker in speakers} == {Role.UNKNOWN}


# ---- voices


def voice(name: str, embedding: tuple[float, ...], role: Role = Role.COACH, model: str = "m") -> KnownVoice:
    return KnownVoice(VoiceId(name), name, role, model, embedding)


def with_voices(**vectors: tuple[float, ...]) -> Diarization:
    embeddings = {SpeakerId(speaker): vector for speaker, vector in vectors.items()}
    return replace(diarization_of(COACHING), embeddings=embeddings, embedding_model="m")


def test_each_voice_is_one_speaker_at_most() -> None:
    """The nearer of two speakers has it."""
    spoken = with_voices(S1=(1.0, 0.0), S2=(0.8, 0.6))
    assert set(match_voices(spoken, [voice("ana", (1.0, 0.0))])) == {S1}


def test_another_model_is_never_compared() -> None:
    """Equal numbers of different models mean nothing."""
    assert match_voices(with_voices(S1=(1.0, 0.0)), [voice("ana", (1.0, 0.0), model="other")]) == {}


def test_far_voices_do_not_match() -> None:
    """Below the limit nobody is recognised, at it with even odds."""
    cosine = SAME_VOICE - 0.01
    spoken = with_voices(S1=(cosine, (1 - cosine**2) ** 0.5))
    assert match_voices(spoken, [voice("ana", (1.0, 0.0))]) == {}


def test_two_voices_alike_decide_nothing() -> None:
    """A coach's and a client's voice as near as each other: nobody can say which it is."""
    spoken = with_voices(S1=(1.0, 0.0))
    rivals = [voice("ana", (1.0, 0.0)), voice("ben", (1.0, 0.0), Role.CLIENT)]
    assert match_voices(spoken, rivals) == {}


def test_the_analysis_uses_voices_and_says_when_they_contradict() -> None:
    """From vectors to a role, a name, a voice's id and a warning."""
    analysis = analyze(
        options=JobOptions(roles=("coach", "client")),
        prepared=prepared_of(COACHING),
        transcriptions=[transcription_of(COACHING)],
        diarization=with_voices(S1=(1.0, 0.0), S2=(0.0, 1.0)),
        voices=[voice("ana", (0.0, 1.0))],
    )
    by_id = {speaker.id: speaker for speaker in analysis.speakers}
    assert (by_id[S2].role, by_id[S2].name, by_id[S2].voice_id) == (Role.COACH, "ana", "ana")
    assert "roles_contradict_voice" in {warning.code for warning in analysis.warnings}


def test_a_merge_leaves_one_speaker() -> None:
    """Words, turns and metrics of both become one person's; nothing is lost."""
    before, after = (
        analyze(
            options=JobOptions(),
            prepared=prepared_of(COACHING),
            transcriptions=[transcription_of(COACHING)],
            diarization=diarization_of(COACHING),
            said=said,
        )
        for said in (SpeakerChange(), SpeakerChange(merged={S2: S1}))
    )
    assert [speaker.id for speaker in after.speakers] == [S1]
    assert {segment.speaker for segment in after.transcript.segments} == {S1}
    assert after.transcript.text == before.transcript.text
    assert after.metrics.per_speaker is not None
    assert after.metrics.per_speaker[S1].share == 1
