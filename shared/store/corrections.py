"""What people corrected of a job's speakers: kept for good, and the job analysed again from it."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, func, insert, select

from shared.domain.ids import JobId, OwnerId
from shared.domain.insight import Speaker
from shared.domain.job import Stage
from shared.domain.records import Created
from shared.domain.speakers import Correction, SpeakerChange
from shared.store.analysis_tables import corrections
from shared.store.documents import no_result
from shared.store.jobs import begin_again
from shared.store.read_jobs import fetch_job
from shared.store.rows import AnyRow, from_json, to_json
from shared.store.session import Database
from shared.store.tables import artefacts, results

Meaning = Callable[[tuple[Speaker, ...]], SpeakerChange]


class Corrections:
    def __init__(self, database: Database) -> None:
        self.database = database

    def correct_speakers(self, owner_id: OwnerId, job_id: JobId, asked: dict[str, Any], meaning: Meaning) -> Created:
        """Write down what was asked and what it means for the speakers as they are; then analyse again.

        One transaction: either the correction is kept and the job begins again, or neither.
        """
        with self.database.begin() as connection:
            job = fetch_job(connection, owner_id, job_id, lock=True)
            if not job.status.succeeded:
                raise no_result(job)
            row = {
                "job_id": job.id,
                "number": _next_number(connection, job.id),
                "owner_id": owner_id,
                "asked": asked,
                "change": to_json(meaning(_speakers(connection, job.id))),
                "diarization": _diarization(connection, job.id),
            }
            connection.execute(insert(corrections).values(row))
            return begin_again(connection, job, Stage.ANALYZE)

    def corrections(self, owner_id: OwnerId, job_id: JobId) -> list[Correction]:
        """The job's history, oldest first."""
        with self.database.begin() as connection:
            return _history(connection, fetch_job(connection, owner_id, job_id).id)

    def corrections_of_job(self, job_id: JobId) -> list[Correction]:
        """The same for a worker, which works for every owner."""
        with self.database.begin() as connection:
            return _history(connection, job_id)


def _history(connection: Connection, job_id: str) -> list[Correction]:
    now = _diarization(connection, job_id)
    query = select(corrections).where(corrections.c.job_id == job_id).order_by(corrections.c.number)
    return [_correction(row, now) for row in connection.execute(query)]


def _correction(row: AnyRow, diarization: str | None) -> Correction:
    return Correction(
        number=row.number,
        asked=row.asked,
        change=from_json(SpeakerChange, row.change),
        applies=row.diarization in (None, diarization),
        made_at=row.made_at,
    )


def _next_number(connection: Connection, job_id: str) -> int:
    """The job's lock is held, so no two get the same."""
    latest = select(func.coalesce(func.max(corrections.c.number), 0)).where(corrections.c.job_id == job_id)
    return int(connection.execute(latest).scalar_one()) + 1


def _speakers(connection: Connection, job_id: str) -> tuple[Speaker, ...]:
    query = select(results.c.document["speakers"]).where(results.c.job_id == job_id)
    return from_json(tuple[Speaker, ...], connection.execute(query).scalar_one() or [])


def _diarization(connection: Connection, job_id: str) -> str | None:
    """What the turns were made from: the ids of speakers mean something only with it."""
    made = (artefacts.c.job_id == job_id, artefacts.c.stage == Stage.DIARIZE)
    return connection.execute(select(artefacts.c.cache_key).where(*made)).scalar_one_or_none()
