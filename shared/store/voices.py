"""Voices that an owner has enrolled, and those that wait to be listened to.

Vectors are compared where the speakers are, in `pipelines/insight/voices.py`: an owner has few of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from shared.domain.errors import Conflict, NotFound
from shared.domain.ids import JobId, OwnerId, SpeakerId, VoiceId
from shared.domain.insight import Role
from shared.domain.speakers import TELEPHONE, KnownVoice, Voice, VoiceError, VoiceOrigin, VoiceStatus
from shared.store.analysis_tables import voices
from shared.store.changes import seconds, soon
from shared.store.rows import AnyRow, from_json, to_json, uuid_or_missing
from shared.store.session import Database
from shared.store.tables import owners

MOST_VOICES = 500  # of one owner: every speaker is compared with each of them
MOST_TRIES = 3  # a sample that took its worker with it as often is not tried again
WORK_S = 300.0  # longer than a task may take: until then nobody else is asked
AT_ONCE = 100
# Where the vector type is in Supabase. A schema that does not exist is passed over.
_FIND_TYPE = text("SELECT set_config('search_path', current_setting('search_path') || ', extensions', true)")

LOST = VoiceError("enrolment_failed", "The sample could not be listened to; send another recording")


@dataclass(frozen=True, slots=True)
class NewVoice:
    label: str
    role: Role
    origin: VoiceOrigin
    sample_key: str | None = None
    drop_sample: str | None = None  # the upload that goes with the sample
    job_id: JobId | None = None  # whose deletion ends it
    speaker: SpeakerId | None = None


@dataclass(frozen=True, slots=True)
class Voiceprint:
    """What listening gave: unit vectors of the voice in the full band and in a telephone's."""

    wide: tuple[float, ...] | None
    telephone: tuple[float, ...] | None
    model: str
    speech_s: float


def print_of_speaker(vector: tuple[float, ...], model: str, speech_s: float) -> Voiceprint:
    """Of a recording's speaker only one band is known: the recording's."""
    plain = model.removesuffix(TELEPHONE)
    wide, telephone = (vector, None) if plain == model else (None, vector)
    return Voiceprint(wide, telephone, plain, speech_s)


@dataclass(frozen=True, slots=True)
class Sample:
    """A recording to listen to."""

    voice_id: VoiceId
    owner_id: OwnerId
    key: str
    drop: str | None


class Voices:
    def __init__(self, database: Database) -> None:
        self.database = database

    def create_voice(self, owner_id: OwnerId, new: NewVoice, known: Voiceprint | None = None) -> Voice:
        """`known`: what the voice is, where nobody has to listen any more."""
        with self._begin() as connection:
            connection.execute(select(owners.c.id).where(owners.c.id == owner_id).with_for_update())
            count = select(func.count()).select_from(voices).where(voices.c.owner_id == owner_id)
            if connection.execute(count).scalar_one() >= MOST_VOICES:
                raise Conflict(f"You have {MOST_VOICES} voices, the most there may be; delete some first")
            return _voice(connection.execute(insert(voices).values(_row(owner_id, new, known)).returning(voices)).one())

    def remember_voice(self, owner_id: OwnerId, new: NewVoice, known: Voiceprint) -> VoiceId:
        """The same voice of the same job again when it is asked twice."""
        row = upsert(voices).values(_row(owner_id, new, known))
        once = row.on_conflict_do_update(index_elements=["job_id", "speaker"], set_=_print(known))
        with self._begin() as connection:
            return VoiceId(connection.execute(once.returning(voices.c.id)).scalar_one())

    def forget_remembered(self, job_id: JobId, *, but: frozenset[SpeakerId]) -> None:
        """Whom a later analysis of the same job does not take for a client."""
        others = (voices.c.job_id == job_id, voices.c.speaker.not_in(but))
        with self.database.begin() as connection:
            connection.execute(delete(voices).where(*others))

    def get_voice(self, owner_id: OwnerId, voice_id: VoiceId) -> Voice:
        query = select(voices).where(voices.c.owner_id == owner_id, voices.c.id == uuid_or_missing(voice_id, "voice"))
        with self._begin() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"There is no voice {voice_id!r}")
        return _voice(row)

    def list_voices(self, owner_id: OwnerId) -> list[Voice]:
        """Newest first."""
        query = select(voices).where(voices.c.owner_id == owner_id).order_by(voices.c.created_at.desc(), voices.c.id)
        with self._begin() as connection:
            return [_voice(row) for row in connection.execute(query)]

    def delete_voice(self, owner_id: OwnerId, voice_id: VoiceId) -> None:
        """For good: the vector goes with the row."""
        mine = (voices.c.owner_id == owner_id, voices.c.id == uuid_or_missing(voice_id, "voice"))
        with self.database.begin() as connection:
            if not connection.execute(delete(voices).where(*mine)).rowcount:
                raise NotFound(f"There is no voice {voice_id!r}")

    def known_voices(self, owner_id: OwnerId, *, but_of: JobId) -> tuple[KnownVoice, ...]:
        """Those that somebody can be recognised by, in a fixed order. A job does not learn from itself."""
        elsewhere = voices.c.job_id.is_distinct_from(but_of)
        ready = (voices.c.owner_id == owner_id, voices.c.status == VoiceStatus.READY, elsewhere)
        query = select(voices).where(*ready).order_by(voices.c.created_at, voices.c.id)
        with self._begin() as connection:
            return tuple(known for row in connection.execute(query) for known in _known(row))

    # ---- the worker's side

    def take_sample(self, voice_id: VoiceId) -> Sample | None:
        """None: it is not waiting any more, or it was tried often enough and is refused."""
        waiting = (voices.c.id == voice_id, voices.c.status == VoiceStatus.PENDING)
        tried = {"attempt": voices.c.attempt + 1, "ring_at": func.now() + seconds(WORK_S)}
        with self._begin() as connection:
            row = connection.execute(update(voices).where(*waiting).values(tried).returning(voices)).one_or_none()
            if row is None:
                return None
            if row.attempt > MOST_TRIES:
                connection.execute(update(voices).where(*waiting).values(_refusal(LOST)))
                return None
        return Sample(VoiceId(row.id), OwnerId(row.owner_id), row.sample_key, row.drop_sample)

    def enrol(self, voice_id: VoiceId, known: Voiceprint) -> None:
        self._end(voice_id, _print(known))

    def refuse(self, voice_id: VoiceId, error: VoiceError) -> None:
        self._end(voice_id, _refusal(error))

    def try_later(self, voice_id: VoiceId, delay_s: float) -> None:
        self._end(voice_id, {"ring_at": func.now() + seconds(delay_s)})

    def take_due_voices(self, rering_s: float) -> list[VoiceId]:
        """Whom the steward is to ring; they are due again after `rering_s`."""
        due = select(voices.c.id).where(voices.c.status == VoiceStatus.PENDING, voices.c.ring_at <= func.now())
        chosen = due.limit(AT_ONCE).with_for_update(skip_locked=True)
        rung = update(voices).where(voices.c.id.in_(chosen)).values(ring_at=func.now() + seconds(rering_s))
        with self.database.begin() as connection:
            return [VoiceId(found) for found in connection.execute(rung.returning(voices.c.id)).scalars()]

    def _end(self, voice_id: VoiceId, columns: dict[str, Any]) -> None:
        """Only while it waits: whoever comes second changes nothing."""
        waiting = (voices.c.id == voice_id, voices.c.status == VoiceStatus.PENDING)
        with self._begin() as connection:
            connection.execute(update(voices).where(*waiting).values(columns))

    @contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.database.begin() as connection:
            connection.execute(_FIND_TYPE)
            yield connection


def _row(owner_id: OwnerId, new: NewVoice, known: Voiceprint | None) -> dict[str, Any]:
    waiting: dict[str, Any] = {"status": VoiceStatus.PENDING, "ring_at": soon()}
    return {
        "owner_id": owner_id,
        "label": new.label,
        "role": new.role,
        "origin": new.origin,
        "sample_key": new.sample_key,
        "drop_sample": new.drop_sample,
        "job_id": new.job_id,
        "speaker": new.speaker,
        **(waiting if known is None else _print(known)),
    }


def _print(known: Voiceprint) -> dict[str, Any]:
    return {
        "status": VoiceStatus.READY,
        "embedding": known.wide and list(known.wide),
        "telephone": known.telephone and list(known.telephone),
        "model": known.model,
        "speech_s": round(known.speech_s, 1),
        "sample_key": None,
        "ring_at": None,
    }


def _refusal(error: VoiceError) -> dict[str, Any]:
    return {"status": VoiceStatus.REFUSED, "error": to_json(error), "sample_key": None, "ring_at": None}


def _voice(row: AnyRow) -> Voice:
    return Voice(
        id=VoiceId(row.id),
        label=row.label,
        role=Role(row.role),
        status=VoiceStatus(row.status),
        origin=VoiceOrigin(row.origin),
        model=row.model,
        speech_s=row.speech_s,
        error=from_json(VoiceError, row.error) if row.error else None,
        job_id=JobId(row.job_id) if row.job_id else None,
        created_at=row.created_at,
    )


def _known(row: AnyRow) -> Iterator[KnownVoice]:
    """One for each band: vectors of the two are as those of two models. Of a remembered voice the role was only
    judged once, so it says who somebody is and not what they are."""
    role = Role.UNKNOWN if row.origin == VoiceOrigin.REMEMBERED else Role(row.role)
    for vector, model in ((row.embedding, row.model), (row.telephone, f"{row.model}{TELEPHONE}")):
        if vector is not None:
            yield KnownVoice(VoiceId(row.id), row.label, role, model, tuple(float(v) for v in vector))
