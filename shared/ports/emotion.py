"""Port to a model that hears how a voice feels, and the sound it is given."""

from dataclasses import dataclass
from typing import Protocol

from shared.domain.transcript import Provenance
from shared.ports.speech import Samples


class AudioSlices(Protocol):
    """A prepared recording that is read slice by slice, as an array of samples would be."""

    def __len__(self) -> int: ...

    def __getitem__(self, at: slice, /) -> Samples: ...


@dataclass(frozen=True, slots=True)
class Affect:
    """-1..1 each: unpleasant to pleasant, calm to excited. None: the model does not say."""

    valence: float | None
    arousal: float | None


class EmotionModel(Protocol):
    @property
    def provenance(self) -> Provenance:
        """Engine, model and what changes its output: part of the cache key."""
        ...

    def judge(self, samples: Samples) -> Affect:
        """One stretch of one voice, 1 to 20 s."""
        ...
