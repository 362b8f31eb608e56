"""Roles, events, skills, diagnosis, advice: by rules, and silent where the rules cannot tell."""

from dataclasses import replace

import pytest

from pipelines.insight.catalogue import catalogue
from pipelines.insight.coaching import assess, pair_of
from pipelines.insight.conversation import Conversation
from pipelines.insight.indicators import ramp
from pipelines.insight.quotes import LONGEST_QUOTE, check_quotes, quote_of
from pipelines.insight.roles import assign_roles
from shared.domain.ids import SpeakerId
from shared.domain.insight import EventType, Example, Role, RoleSource
from shared.domain.transcript import Segment
from tests.insight_samples import COACHING, COACHING_JA, COACHING_ZH, INTERRUPTED, Line, analysis_of, conversation_of

pytestmark = pytest.mark.unit

S1, S2 = SpeakerId("S1"), SpeakerId("S2")
SAMPLES = {"en": COACHING, "ja": COACHING_JA, "zh": COACHING_ZH}


def _roles(conversation: Conversation, roles: tuple[str, ...] = ()) -> dict[SpeakerId, tuple[Role, RoleSource]]:
    return {s.id: (s.role, s.role_source) for s in assign_roles(conversation, roles, {})}


@pytest.mark.parametrize("language", SAMPLES)
def test_the_coach_is_who_asks_and_listens(language: str) -> None:
    """By behaviour, in each language, with a confidence below certainty."""
    speakers = assign_roles(conversation_of(SAMPLES[language], language), (), {})
    assert [(s.id, s.role, s.role_source) for s in speakers] == [
        (S1, Role.COACH, RoleSource.BEHAVIOUR),
        (S2, Role.CLIENT, RoleSource.BEHAVIOUR),
    ]
    assert all(s.role_confidence is not None and 0.5 < s.role_confidence <= 0.9 for s in speakers)


def test_roles_do_not_depend_on_who_speaks_first() -> None:
    """The same talk with the names exchanged and a client's greeting before it."""
    other = {"S1": "S2", "S2": "S1"}
    later: list[Line] = [(other[who], a + 2, b + 2, text) for who, a, b, text in COACHING]
    found = _roles(conversation_of([("S1", 0.0, 1.0, "Good morning."), *later]))
    assert found == {S1: (Role.CLIENT, RoleSource.BEHAVIOUR), S2: (Role.COACH, RoleSource.BEHAVIOUR)}


def test_roles_given_follow_the_order_of_first_speech() -> None:
    """What the caller says beats what we think."""
    assert _roles(conversation_of(COACHING), ("client", "coach")) == {
        S1: (Role.CLIENT, RoleSource.OPTIONS),
        S2: (Role.COACH, RoleSource.OPTIONS),
    }


def test_roles_given_by_channel() -> None:
    """Channel 0 is the coach here although channel 1 speaks first."""
    speakers = assign_roles(conversation_of(COACHING), ("coach", "client"), {0: S2, 1: S1})
    assert {s.id: (s.role, s.role_source) for s in speakers} == {
        S1: (Role.CLIENT, RoleSource.CHANNEL),
        S2: (Role.COACH, RoleSource.CHANNEL),
    }


def test_roles_stay_unknown_without_questions() -> None:
    """Two people who tell each other things are no coach and client; there is no confidence to show."""
    lines = [line for line in COACHING if "?" not in line[3]]
    (first, second) = assign_roles(conversation_of([("S1", 0, 4, "I was away."), *lines[1:]]), (), {})
    assert (first.role, second.role) == (Role.UNKNOWN, Role.UNKNOWN)
    assert (first.role_source, first.role_confidence) == (RoleSource.UNDECIDED, None)


def test_roles_stay_unknown_when_both_ask_alike() -> None:
    """No clear lead, no role."""
    lines: list[Line] = [
        ("S1" if n % 2 else "S2", n * 5.0, n * 5 + 4.0, "What do you think about it?") for n in range(8)
    ]
    assert set(_roles(conversation_of(lines)).values()) == {(Role.UNKNOWN, RoleSource.UNDECIDED)}


def test_third_speaker_without_a_given_role_is_unknown() -> None:
    """Two roles for three speakers leave the last one open."""
    lines: list[Line] = [*COACHING, ("S3", 71, 72, "Lunch is ready.")]
    roles = _roles(conversation_of(lines), ("coach", "client"))
    assert roles[SpeakerId("S3")] == (Role.UNKNOWN, RoleSource.UNDECIDED)


def test_events_name_the_moment() -> None:
    """An interruption with its overlap, told once and not again as an overlap."""
    events = analysis_of(INTERRUPTED).report.conversation_events
    assert [(e.type, e.speaker, e.time, e.duration) for e in events] == [(EventType.INTERRUPTION, S1, 39.0, 1.0)]
    assert events[0].description == "Coach cut in on Client and took the floor."


def test_events_of_silence_and_monologue() -> None:
    """A silence of 3 s or more belongs to who breaks it; a minute without a break is a monologue."""
    lines: list[Line] = [("S1", 0, 4, "Well then."), ("S2", 8, 70, "It was a long story.")]
    events = analysis_of(lines).report.conversation_events
    assert [(e.type, e.speaker, e.time, e.duration) for e in events] == [
        (EventType.SILENCE, S2, 4.0, 4.0),
        (EventType.MONOLOGUE, S2, 8.0, 62.0),
    ]


@pytest.mark.parametrize("language", SAMPLES)
def test_skills_are_scored_with_low_confidence_and_real_quotations(language: str) -> None:
    """1 to 5, below 0.5 in confidence; every quotation is in the segment it names."""
    analysis = analysis_of(SAMPLES[language], language)
    texts = {segment.id: segment.text for segment in analysis.transcript.segments}
    skills = analysis.report.coaching_skills
    for skill in (skills.listening, skills.questioning, skills.empathy, skills.feedback):
        assert skill.score is not None
        assert 1 <= skill.score <= 5
        assert skill.confidence is not None
        assert 0 < skill.confidence < 0.5
        assert skill.rationale
        assert all(example.quote in texts[example.segment_id] for example in skill.examples)
    assert skills.questioning.examples
    assert skills.empathy.examples
    assert skills.feedback.examples


def test_listening_follows_its_formula() -> None:
    """1 + 4 × mean of share 0.7241 → 1, no interruption → 1, wait 0.2 s → 0, longest turn 5.8 s → 1."""
    listening = analysis_of(COACHING).report.coaching_skills.listening
    assert listening.score == round(1 + 4 * (1 + 1 + ramp(0.2, 0.2, 1.0) + 1) / 4, 1) == 4.0


def test_interrupting_lowers_listening() -> None:
    """The same words with one interruption score less, and the interruption is the example."""
    calm, hasty = (analysis_of(lines).report.coaching_skills.listening for lines in (COACHING, INTERRUPTED))
    assert calm.score is not None
    assert hasty.score is not None
    assert hasty.score < calm.score
    assert calm.examples == ()
    assert hasty.examples[0].start_s >= 39.0


def test_telling_is_diagnosed_as_telling() -> None:
    """When the coach has nearly all of the talk, the table's first row fits and advice says where."""
    lines: list[Line] = [
        line
        for n in range(4)
        for line in (
            ("S1", n * 30.0, n * 30 + 18.0, "You should do this and then that and then the other thing."),
            ("S2", n * 30 + 19.0, n * 30 + 22.0, "All right."),
        )
    ]
    report = analysis_of(lines, roles=("coach", "client")).report
    assert report.diagnosis is not None
    assert report.diagnosis.key == "directive"
    assert report.prescriptions[0].key == "client_share"
    assert report.prescriptions[0].quote == "You should do this and then that and then the other thing."
    assert report.prescriptions[0].start_s == 0.0


def test_prescriptions_are_few_and_weakest_first() -> None:
    """At most three, each with its measured figure."""
    prescriptions = analysis_of(COACHING).report.prescriptions
    assert 0 < len(prescriptions) <= 3
    assert prescriptions[0].key == "patience"
    assert "0.20 s" in prescriptions[0].text


def test_action_items_name_owner_and_segment() -> None:
    """The client's promise, with the segment that holds it."""
    analysis = analysis_of(COACHING)
    (item,) = analysis.report.action_items
    segment = next(segment for segment in analysis.transcript.segments if segment.id == item.segment_id)
    assert (item.owner, item.text) == ("client", segment.text) == ("client", "I will talk to my boss by Friday.")


def test_too_short_a_talk_is_not_scored() -> None:
    """Two turns show no habit: null with the reason, no diagnosis, no advice."""
    analysis = analysis_of(COACHING[:3], roles=("coach", "client"))
    assert analysis.report.coaching_skills.listening.score is None
    assert analysis.report.coaching_skills.listening.confidence is None
    assert analysis.report.diagnosis is None
    assert analysis.report.prescriptions == ()
    assert _reasons(analysis.not_measured)["report.coaching_skills.listening.score"] == "too_little_speech"


def _reasons(not_measured: object) -> dict[str, str]:
    assert isinstance(not_measured, tuple)
    return {missing.path: missing.code for missing in not_measured}


def test_language_without_rules_keeps_what_time_tells() -> None:
    """French: listening is measured; open questions and what needs words are null with their reason."""
    analysis = analysis_of(COACHING, language="fr", roles=("coach", "client"))
    assert analysis.metrics.per_speaker is not None
    coach = analysis.metrics.per_speaker[S1]
    assert (coach.questions, coach.open_questions, coach.fillers) == (4, None, None)
    assert analysis.report.coaching_skills.listening.score is not None
    assert analysis.report.coaching_skills.questioning.score is None
    reasons = _reasons(analysis.not_measured)
    assert reasons["metrics.per_speaker.*.open_questions"] == "language_without_rules"
    assert reasons["report.coaching_skills.questioning.score"] == "language_without_rules"


def test_quotations_that_do_not_hold_are_dropped_and_counted() -> None:
    """Invented words, an invented segment, a wrong time, an empty quotation."""
    segment = Segment("seg-0001", 1.5, 2.5, S1, "It was a good day.", ())
    good = Example("seg-0001", "a good day", 1.5)
    bad = [
        replace(good, quote="a bad day"),
        replace(good, segment_id="seg-0009"),
        replace(good, start_s=2),
        replace(good, quote=" "),
    ]
    checked = check_quotes([good, *bad], [segment])
    assert (checked.kept, checked.dropped) == ((good,), 4)


def test_long_quotations_are_cut_inside_the_text() -> None:
    """At a word's end, and still a part of it letter by letter."""
    segment = Segment("seg-0001", 0, 30, S1, "word " * 80, ())
    quote = quote_of(segment)
    assert len(quote) <= LONGEST_QUOTE
    assert quote in segment.text
    assert quote.endswith("word")


def test_ramp_ends_at_its_ends() -> None:
    """Beyond the range nothing more is won or lost; a falling ramp works alike."""
    assert [ramp(value, 0.2, 0.7) for value in (0, 0.2, 0.45, 0.7, 1)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert [ramp(value, 6, 0) for value in (9, 3, 0)] == [0, 0.5, 1]


def test_assessment_without_roles_says_so() -> None:
    """No coach, no coaching skills."""
    conversation = conversation_of(COACHING)
    assessment = assess(pair_of(conversation, ()), catalogue("en"))
    assert set(assessment.missing.values()) == {"roles_unknown"}
