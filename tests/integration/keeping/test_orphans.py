"""Objects that no row names, parts of uploads that nobody finishes, and the bucket's own rules."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from shared.adapters.s3 import S3ObjectStore
from shared.adapters.s3_keeping import RULES
from shared.domain.job import JobOptions, JobStatus, Source, SourceKind
from shared.keeping.duties import expire, keep_bucket_rules
from shared.keeping.orphans import abort_parts, sweep_orphans
from shared.ports.store import Listed
from shared.store.orphans import Orphans
from tests.engine_lab import Lab
from tests.integration.keeping.things import a_job_of, an_upload, days_pass, done, keys

pytestmark = pytest.mark.integration

TOMORROW = datetime.now(UTC) + timedelta(days=1, hours=1)


def put(lab: Lab, folder: Path, key: str) -> str:
    (path := folder / "x").write_bytes(b"x")
    lab.tools.objects.put(key, path, "audio/wav")
    return key


def orphans(lab: Lab, prefix: str, now: datetime = TOMORROW) -> list[str]:
    return Orphans(lab.database).among(lab.tools.objects.list_page(prefix), now)


def test_what_no_row_names_is_an_orphan_after_a_day(lab: Lab, tmp_path: Path) -> None:
    """Of a job or an upload that is gone; within the grace it is left alone."""
    lost = put(lab, tmp_path, f"jobs/{uuid4()}/download/0/k/source")
    upload = put(lab, tmp_path, f"uploads/{lab.owner}/{uuid4()}/a.wav")
    foreign = put(lab, tmp_path, "jobs/not-ours/x")
    assert orphans(lab, lost, datetime.now(UTC)) == []
    assert orphans(lab, lost) == [lost]
    assert orphans(lab, upload) == [upload]
    assert orphans(lab, foreign) == []
    lab.tools.objects.delete_keys([lost, upload, foreign])


def test_what_is_named_is_none(lab: Lab, tmp_path: Path) -> None:
    """Every file of finished jobs and every upload with a row; and of a job that runs, whatever it has written."""
    upload_id = an_upload(lab, tmp_path)
    job_id = a_job_of(lab, upload_id)
    assert done(lab, job_id).status is JobStatus.COMPLETED
    running = lab.job({"job": 2}).job.id
    put(lab, tmp_path, f"jobs/{running}/download/0/k/half-written")
    days_pass(lab, 2)
    for prefix in (f"jobs/{job_id}/", f"uploads/{lab.owner}/", f"jobs/{running}/"):
        assert keys(lab, prefix)
        assert orphans(lab, prefix) == []


def test_what_an_attempt_left_beside_the_documents(lab: Lab, tmp_path: Path) -> None:
    """A file of an ended job that none of its documents names goes a day after the end; under a hold it stays."""
    job_id = lab.job({"shards": 1}).job.id
    done(lab, job_id)
    left = put(lab, tmp_path, f"jobs/{job_id}/preprocess/0/other-key/audio.flac")
    assert orphans(lab, f"jobs/{job_id}/", datetime.now(UTC)) == []
    lab.tools.ledger.hold_job(lab.owner, job_id, "r")
    assert orphans(lab, f"jobs/{job_id}/") == []
    lab.tools.ledger.hold_owner(lab.owner, "r")
    lab.tools.ledger.release_job(lab.owner, job_id)
    assert orphans(lab, f"jobs/{job_id}/") == []
    lab.tools.ledger.release_owner(lab.owner)
    assert orphans(lab, f"jobs/{job_id}/") == [left]


def test_an_object_that_a_job_names_by_its_key_stays(lab: Lab, tmp_path: Path) -> None:
    """Although its upload has no row any more."""
    key = put(lab, tmp_path, f"uploads/{lab.owner}/{uuid4()}/a.wav")
    lab.tools.ledger.create_job(lab.owner, source=Source(SourceKind.S3, key), options=JobOptions(), session_id="{}")
    assert orphans(lab, key) == []


def test_the_sweep_walks_the_bucket_in_slices(lab: Lab, tmp_path: Path) -> None:
    """It goes on where it stopped, comes to the end, begins again, and deletes nothing young."""
    mine = [put(lab, tmp_path, f"jobs/{uuid4()}/x/0/k/{n}") for n in range(3)]
    state = lab.execute("SELECT state FROM chores WHERE name = 'orphans'")
    assert state == []
    seen = set()
    for _ in range(8):
        assert sweep_orphans(lab.database, lab.tools.objects, pages=1) == 0
        [(state,)] = lab.execute("SELECT state FROM chores WHERE name = 'orphans'")
        seen.add((state["folder"], bool(state["after"])))
    assert {(0, True), (1, False), (0, False)} <= seen
    assert all(key in keys(lab, key) for key in mine)
    lab.tools.objects.delete_keys(mine)


def test_uploads_that_nobody_uses_go(lab: Lab, tmp_path: Path) -> None:
    """Never finished: after a day. Finished, but of no job: after a week. With a job, or under a hold: not at all."""
    used, unused = an_upload(lab, tmp_path), an_upload(lab, tmp_path)
    never = an_upload(lab, tmp_path, completed=False)
    lab.tools.ledger.cancel(lab.owner, a_job_of(lab, used))

    def left() -> set[str]:
        expire(lab.database, lab.tools.objects)
        return {key.split("/")[2] for key in keys(lab, f"uploads/{lab.owner}/")}

    assert left() == {used, unused, never}
    days_pass(lab, 1.1)
    lab.tools.ledger.hold_owner(lab.owner, "r")
    assert left() == {used, unused, never}
    lab.tools.ledger.release_owner(lab.owner)
    assert left() == {used, unused}
    days_pass(lab, 6)
    assert left() == {used}


def test_parts_that_nobody_finishes_are_given_up(lab: Lab) -> None:
    """After a day; younger ones may still be on their way."""
    store = lab.tools.objects
    key = f"uploads/{lab.owner}/{uuid4()}/big.wav"
    multipart_id, _ = store.start_multipart(key, "audio/wav", 2, 60)
    assert abort_parts(store) == 0
    assert store.abort_uploads(datetime.now(UTC) + timedelta(minutes=1)) >= 1
    with pytest.raises(Exception, match="no object"):
        store.complete_multipart(key, multipart_id, ["x"])


def test_the_bucket_has_our_rules_beside_others(lab: Lab) -> None:
    """Set again without harm; a rule that somebody else has made stays."""
    store = S3ObjectStore(lab.tools.settings)
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "backups/"}, "Expiration": {"Days": 9}}
    bucket = lab.tools.settings.s3_bucket
    store._s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [theirs]})
    for _ in range(2):
        keep_bucket_rules(store)
    found = store._s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert sorted(rule["ID"] for rule in found) == sorted(["theirs", *(rule["ID"] for rule in RULES)])


def test_a_listing_is_in_order_and_goes_on(lab: Lab, tmp_path: Path) -> None:
    """Page after page, each key once."""
    folder = f"jobs/{uuid4()}/"
    wanted = [put(lab, tmp_path, f"{folder}{n}") for n in range(5)]
    seen: list[Listed] = []
    while page := lab.tools.objects.list_page(folder, seen[-1].key if seen else "", 2):
        seen += page
    assert [found.key for found in seen] == wanted
    lab.tools.objects.delete_keys(wanted)
    assert keys(lab, folder) == []
