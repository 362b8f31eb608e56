"""What people say of speakers: what it means, how it adds up, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.insight.said import AskedChange, meaning
from shared.domain.errors import InvalidInput
from shared.domain.ids import SpeakerId
from shared.domain.insight import Role, RoleSource, Speaker
from shared.domain.speakers import SpeakerChange, all_said

pytestmark = pytest.mark.unit

S1, S2, S3 = (SpeakerId(f"S{number}") for number in (1, 2, 3))
THREE = (
    Speaker(S1, Role.COACH, RoleSource.BEHAVIOUR, 0.7, "Ana"),
    Speaker(S2, Role.CLIENT, RoleSource.BEHAVIOUR, 0.7),
    Speaker(S3, Role.UNKNOWN, RoleSource.UNDECIDED, None),
)


def test_a_swap_exchanges_roles_and_names() -> None:
    """Ids stay with the words; who the ids are changes sides."""
    change = meaning(AskedChange(swap=(S1, S2)), THREE)
    assert change.roles == {S1: Role.CLIENT, S2: Role.COACH}
    assert change.names == {S1: None, S2: "Ana"}


def test_what_is_said_beside_a_swap_holds() -> None:
    """A name that comes with the swap is the name after it."""
    change = meaning(AskedChange(swap=(S1, S2), names={S1: "Ben"}), THREE)
    assert change.names == {S1: "Ben", S2: "Ana"}


@pytest.mark.parametrize(
    "asked",
    [
        AskedChange(names={SpeakerId("S9"): "Nobody"}),
        AskedChange(merge=[(S1, S1)]),
        AskedChange(merge=[(S1, S2), (S2, S3)]),
        AskedChange(merge=[(S1, S2), (S1, S3)]),
        AskedChange(merge=[(S3, S1)], names={S3: "Cleo"}),
        AskedChange(swap=(S2, S2)),
    ],
)
def test_what_makes_no_sense_is_refused(asked: AskedChange) -> None:
    """Somebody who is not there, circles, and names for who is gone."""
    with pytest.raises(InvalidInput):
        meaning(asked, THREE)


def test_merges_follow_each_other() -> None:
    """Who was merged into somebody goes along when that one is merged, and keeps no name."""
    said = all_said([SpeakerChange(merged={S3: S2}, names={S2: "Ben"}), SpeakerChange(merged={S2: S1})])
    assert said.merged == {S3: S1, S2: S1}
    assert said.names == {}


def test_a_reset_takes_back_all_before_it() -> None:
    """Only what came after it is left."""
    said = all_said([SpeakerChange(roles={S1: Role.CLIENT}), SpeakerChange(reset=True), SpeakerChange(names={S1: "A"})])
    assert said == SpeakerChange(names={S1: "A"})


CHANGES = st.lists(
    st.builds(
        SpeakerChange,
        names=st.dictionaries(st.sampled_from([S1, S2, S3]), st.sampled_from([None, "Ana", "Ben"]), max_size=2),
        roles=st.dictionaries(st.sampled_from([S1, S2, S3]), st.sampled_from(Role), max_size=2),
        merged=st.sampled_from([{}, {S3: S1}, {S3: S2}]),
        reset=st.booleans(),
    ),
    max_size=6,
)


@given(CHANGES)
def test_nobody_is_merged_into_somebody_who_is_gone(changes: list[SpeakerChange]) -> None:
    """However the history goes, every merge ends at a speaker who is there."""
    said = all_said(changes)
    assert not set(said.merged) & set(said.merged.values())
    assert not set(said.merged) & {*said.names, *said.roles}
