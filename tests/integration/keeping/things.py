"""Recordings, finished jobs and the passing of days, for the tests of keeping and deleting."""

import json
from pathlib import Path

from shared.domain.ids import JobId, OwnerId
from shared.domain.job import Job, JobOptions, Source, SourceKind
from tests.engine_lab import Lab


def keys(lab: Lab, prefix: str = "") -> list[str]:
    """What is in the bucket below a prefix."""
    return [found.key for found in lab.tools.objects.list_page(prefix)]


def an_upload(lab: Lab, folder: Path, owner: OwnerId | None = None, *, completed: bool = True) -> str:
    """A recording that has arrived; its id."""
    mine = owner or lab.owner
    recording = folder / "a.wav"
    recording.write_bytes(b"RIFF of a recording")
    upload = lab.tools.ledger.create_upload(mine, filename="a.wav", content_type="audio/wav", bytes=19)
    lab.tools.objects.put(upload.key, recording, "audio/wav")
    if completed:
        lab.tools.ledger.complete_upload(mine, upload.id)
    return str(upload.id)


def a_job_of(lab: Lab, upload_id: str, script: dict[str, object] | None = None, user: str | None = None) -> JobId:
    """Begun, not worked on."""
    created = lab.tools.ledger.create_job(
        lab.owner,
        source=Source(SourceKind.UPLOAD, upload_id, "a.wav"),
        options=JobOptions(on_behalf_of=user),
        session_id=json.dumps({"shards": 1, **(script or {})}),
    )
    return created.job.id


def done(lab: Lab, job_id: JobId) -> Job:
    """Worked off to its end."""
    lab.work_off()
    job = lab.get(job_id)
    assert job.status.ended
    return job


def days_pass(lab: Lab, days: float) -> None:
    """Everything that has ended, ended so much earlier."""
    lab.execute(f"UPDATE jobs SET finished_at = finished_at - interval '{days} days' WHERE finished_at IS NOT NULL")
    lab.execute(f"UPDATE uploads SET created_at = created_at - interval '{days} days'")
