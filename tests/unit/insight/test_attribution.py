"""Words find their speaker, and become readable segments."""

import pytest

from pipelines.text.attribution import attribute, speakers_of_channels, turns_of_channels
from pipelines.text.segments import LONGEST_SEGMENT_S, build_transcript
from shared.domain.audio import PreparedAudio, Shard, Span, Track
from shared.domain.ids import SpeakerId
from shared.domain.insight import Transcript
from shared.domain.transcript import SpeakerTurn, Transcription, Word
from tests.insight_samples import ENGINE

pytestmark = pytest.mark.unit

S1, S2 = SpeakerId("S1"), SpeakerId("S2")
TURNS = (SpeakerTurn(0, 4, S1), SpeakerTurn(5, 9, S2))


def _heard(*words: tuple[float, float, str], shard: int = 0, channel: int | None = None) -> Transcription:
    return Transcription(shard, channel, None, tuple(Word(a, b, text, 0.9) for a, b, text in words), 0, ENGINE)


def _speakers(*words: tuple[float, float, str], turns: tuple[SpeakerTurn, ...] = TURNS) -> list[SpeakerId | None]:
    return [spoken.speaker for spoken in attribute([_heard(*words)], turns, {})]


def _transcript(*transcriptions: Transcription, turns: tuple[SpeakerTurn, ...] = TURNS) -> Transcript:
    return build_transcript(attribute(transcriptions, turns, {}))


def test_word_goes_to_the_turn_that_covers_most_of_it() -> None:
    """A word stretched over a pause belongs where most of its voice is."""
    assert _speakers((1, 2, " yes"), (3.8, 6.0, " but"), (8.5, 9.5, " fine")) == [S1, S2, S2]


def test_word_in_a_gap_goes_to_the_nearer_turn() -> None:
    """Recognisers are late and early around pauses."""
    assert _speakers((4.1, 4.3, " right")) == [S1]
    assert _speakers((4.7, 4.9, " so")) == [S2]


def test_word_between_two_turns_stays_with_its_sentence() -> None:
    """Equally near to both: a sentence under way keeps its speaker, an ended one hands over."""
    assert _speakers((3, 3.5, " I"), (4.4, 4.6, " think")) == [S1, S1]
    assert _speakers((3, 3.5, " Yes."), (4.4, 4.6, " I")) == [S1, S2]


def test_word_far_from_every_turn_has_no_speaker() -> None:
    """Nobody is made up for a word that no voice is near."""
    assert _speakers((20, 20.5, " hello")) == [None]


def test_without_turns_nobody_is_named() -> None:
    """Diarization may be missing; the words are not."""
    assert _speakers((0, 1, " hello"), turns=()) == [None]


def test_channel_decides_where_there_is_one() -> None:
    """A channel of one person beats any turn."""
    spoken = attribute([_heard((0, 1, " me"), channel=1)], TURNS, {1: S2})
    assert [word.speaker for word in spoken] == [S2]


def test_shards_and_channels_are_merged_in_time_order() -> None:
    """Whatever the order in which they were recognised."""
    late = _heard((5, 6, " second"), shard=1, channel=0)
    early = _heard((0, 1, " first"), shard=0, channel=1)
    assert [word.word.text for word in attribute([late, early], TURNS, {})] == [" first", " second"]


def test_segments_end_at_sentences_speakers_and_pauses() -> None:
    """And are numbered in order of their start."""
    transcript = _transcript(
        _heard((0, 1, " Hello."), (1, 2, " How"), (2, 3, " are you"), (5, 6, " Fine"), (7.5, 8, " thanks"))
    )
    assert [(s.id, s.speaker, s.text) for s in transcript.segments] == [
        ("seg-0001", S1, "Hello."),
        ("seg-0002", S1, "How are you"),
        ("seg-0003", S2, "Fine"),
        ("seg-0004", S2, "thanks"),
    ]
    assert transcript.text == "Hello. How are you Fine thanks"


def test_abbreviation_and_hesitation_end_no_sentence() -> None:
    """ "Dr." and three dots are inside one."""
    transcript = _transcript(_heard((0, 1, " Well..."), (1, 2, " Dr."), (2, 3, " Who."), (3, 4, " Yes.")))
    assert [segment.text for segment in transcript.segments] == ["Well... Dr. Who.", "Yes."]


def test_overlapping_words_keep_their_sentences_whole() -> None:
    """Two who talk at once on one track give two sentences, not a salad of words."""
    turns = (SpeakerTurn(0, 1, S1), SpeakerTurn(1, 2, S2), SpeakerTurn(2, 3, S1), SpeakerTurn(3, 4, S2))
    words = ((0, 1.1, " we"), (1, 2.1, " no"), (2, 3.1, " agree."), (3, 4, " never."))
    transcript = _transcript(_heard(*words), turns=turns)
    assert [(s.speaker, s.text) for s in transcript.segments] == [(S1, "we agree."), (S2, "no never.")]


def test_words_of_channels_that_overlap_stay_apart() -> None:
    """Each channel is cut by itself, then all segments are put in order."""
    left, right = (
        _heard((0, 1, " I"), (1, 2, " see."), channel=0),
        _heard((0.5, 1.5, " You"), (1.5, 2.5, " do?"), channel=1),
    )
    transcript = build_transcript(attribute([right, left], TURNS, {0: S1, 1: S2}))
    assert [(s.speaker, s.text) for s in transcript.segments] == [(S1, "I see."), (S2, "You do?")]


def test_japanese_is_joined_without_spaces_and_english_inside_keeps_its_own() -> None:
    """Only the space between two Japanese characters goes."""
    transcript = _transcript(_heard((0, 1, "今日 は"), (1, 2, " New"), (2, 3, " York"), (3, 4, "です。")))
    assert transcript.text == "今日は New Yorkです。"


def test_text_without_full_stops_is_cut_at_its_pauses() -> None:
    """A recogniser that writes no punctuation still gives segments that can be read and quoted."""
    words = [(n * 0.5, n * 0.5 + (0.2 if n % 10 == 9 else 0.5), f" w{n}") for n in range(400)]
    transcript = _transcript(_heard(*words), turns=(SpeakerTurn(0, 300, S1),))
    lengths = [segment.end_s - segment.start_s for segment in transcript.segments]
    assert max(lengths) <= LONGEST_SEGMENT_S
    assert sum(len(segment.words) for segment in transcript.segments) == 400
    assert all(segment.text.split()[-1].endswith("9") for segment in transcript.segments)


def test_words_of_nothing_make_no_segment() -> None:
    """A recogniser may give a word of blanks."""
    assert _transcript(_heard((0, 1, "  "))).segments == ()


def _two_channels(left: tuple[Span, ...], right: tuple[Span, ...]) -> PreparedAudio:
    tracks = (Track("left.flac", 0, -20, left), Track("right.flac", 1, -20, right))
    mix = Track("audio.flac", None, -20, (*left, *right))
    return PreparedAudio(9.0, 144_000, mix, tracks, (Shard(0, "s", 0, 0, 144_000, left),), None, False)


def test_channels_are_matched_to_speakers_by_their_speech() -> None:
    """S1 spoke on the right here, whatever the order of channels."""
    prepared = _two_channels(left=(Span(5, 9),), right=(Span(0, 4),))
    assert speakers_of_channels(prepared, TURNS) == {0: S2, 1: S1}


def test_channels_stand_in_for_missing_diarization() -> None:
    """S1 is who speaks first, on whichever channel."""
    prepared = _two_channels(left=(Span(5, 9),), right=(Span(0, 4),))
    assert turns_of_channels(prepared) == TURNS
