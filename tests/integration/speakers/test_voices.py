"""Voices: enrolled over HTTP, listened to by the real networks, found again, forgotten."""

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile

from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.ids import JobId, VoiceId
from tests.integration.speakers.conftest import Recordings

pytestmark = pytest.mark.integration

Enrol = Callable[[np.ndarray], dict]


def speech(folder: Path, reader: str, clips: slice) -> np.ndarray:
    parts = [soundfile.read(path, dtype="float32")[0] for path in sorted((folder / reader).glob("*.flac"))[clips]]
    return np.concatenate(parts)


@pytest.fixture
def enrolled(client: httpx.Client, recordings: Recordings) -> Enrol:
    """Sends a sample as a form, lets a worker listen, and gives the voice as it then is."""

    def send(samples: np.ndarray) -> dict:
        file = io.BytesIO()
        soundfile.write(file, samples, SAMPLE_RATE_HZ, format="FLAC")
        sent = client.post(
            "/v1/voices/file",
            data={"label": "Ana", "role": "coach"},
            files={"file": ("ana.flac", file.getvalue(), "audio/flac")},
        )
        assert (sent.status_code, sent.json()["status"]) == (202, "pending"), sent.text
        from workers.enrol import enrol_voice

        enrol_voice(VoiceId(sent.json()["id"]), recordings.tools)
        return client.get(f"/v1/voices/{sent.json()['id']}").json()

    return send


def test_a_sample_becomes_a_voice_and_is_deleted(
    enrolled: Enrol, client: httpx.Client, recordings: Recordings, sample_folder: Path
) -> None:
    """Ready, with the model's name; one vector a band; no recording left; gone when it is deleted."""
    voice = enrolled(speech(sample_folder, "367", slice(0, 4))[: 20 * SAMPLE_RATE_HZ])
    assert (voice["status"], voice["role"], voice["error"]) == ("ready", "coach", None), voice
    assert voice["model"].startswith("campplus")
    known = recordings.tools.ledger.known_voices(recordings.owner, but_of=JobId(voice["id"]))
    assert [len(k.embedding) for k in known] == [192, 192]
    with recordings.tools.ledger.database.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM uploads").scalar_one() == 0
    assert client.delete(f"/v1/voices/{voice['id']}").status_code == 204
    assert client.get("/v1/voices").json() == {"voices": []}
    assert client.get(f"/v1/voices/{voice['id']}").status_code == 404


def test_samples_that_will_not_do_are_refused_with_a_reason(enrolled: Enrol, sample_folder: Path) -> None:
    """Too short, noisy, overdriven, two voices, silence: each says what to do better."""
    alone = speech(sample_folder, "367", slice(0, 4))[: 16 * SAMPLE_RATE_HZ]
    other = speech(sample_folder, "2033", slice(0, 3))[: 10 * SAMPLE_RATE_HZ]
    noise = np.random.default_rng(0).standard_normal(len(alone)).astype(np.float32)
    level = float(np.sqrt((alone**2).mean()))
    bad = {
        "voice_too_short": alone[: 5 * SAMPLE_RATE_HZ],
        "voice_noisy": alone + 0.5 * level * noise,
        "voice_distorted": np.clip(alone * 40, -1, 1),
        "voice_not_alone": np.concatenate([alone, other]),
    }
    for code, samples in bad.items():
        voice = enrolled(samples)
        assert (voice["status"], voice["error"]["code"]) == ("refused", code), voice
    assert enrolled(np.zeros(12 * SAMPLE_RATE_HZ, np.float32))["error"]["code"] == "voice_too_short"


def test_a_speaker_of_a_job_is_found_in_the_next(client: httpx.Client, recordings: Recordings) -> None:
    """Known by the owner's word, recognised with a name, a role and the voice's id; forgotten, not any more."""
    job_id = recordings.finished()
    asked = {"label": "Ben", "role": "coach", "job_id": job_id, "speaker": "S2"}
    made = client.post("/v1/voices", json=asked)
    assert (made.status_code, made.json()["status"]) == (202, "ready"), made.text
    second = recordings.result(recordings.finished())["speakers"][1]
    assert (second["name"], second["role"], second["role_source"]) == ("Ben", "coach", "enrolled_voice")
    assert second["voice_id"] == made.json()["id"]
    client.delete(f"/v1/voices/{made.json()['id']}")
    assert {s["voice_id"] for s in recordings.result(recordings.finished())["speakers"]} == {None}


def test_a_client_is_remembered_only_when_asked(client: httpx.Client, recordings: Recordings) -> None:
    """By choice the client of one recording is recognised in the next; the voice ends with the job it is from."""
    assert recordings.result(recordings.finished())["speakers"][1]["voice_id"] is None
    first = recordings.finished(remember_clients=True)
    voice_id = recordings.result(first)["speakers"][1]["voice_id"]
    assert voice_id is not None
    (kept,) = client.get("/v1/voices").json()["voices"]
    assert (kept["id"], kept["origin"], kept["role"], kept["job_id"]) == (voice_id, "remembered", "client", first)
    assert recordings.result(recordings.finished(remember_clients=True))["speakers"][1]["voice_id"] == voice_id
    recordings.tools.ledger.delete_job(recordings.owner, first)
    assert client.get("/v1/voices").json() == {"voices": []}


def test_a_lost_ring_is_rung_again_and_a_killer_is_refused(client: httpx.Client, recordings: Recordings) -> None:
    """Voices that wait are due for the steward; a sample that takes its worker along each time ends as refused."""
    ledger = recordings.tools.ledger
    upload = ledger.create_upload(recordings.owner, filename="a.flac", content_type="audio/flac", bytes=1)
    ledger.complete_upload(recordings.owner, upload.id)
    asked = {"label": "Ana", "upload_id": upload.id}
    voice_id = VoiceId(client.post("/v1/voices", json=asked).json()["id"])
    for _ in range(3):
        with ledger.database.begin() as connection:
            connection.exec_driver_sql("UPDATE voices SET ring_at = now()")
        assert ledger.take_due_voices(30.0) == [voice_id]
        assert ledger.take_due_voices(30.0) == []
        assert ledger.take_sample(voice_id) is not None
    assert ledger.take_sample(voice_id) is None
    assert client.get(f"/v1/voices/{voice_id}").json()["error"]["code"] == "enrolment_failed"


def test_a_stranger_sees_no_voice(client: httpx.Client, recordings: Recordings) -> None:
    """Another owner's voices are neither listed nor deleted."""
    other = Recordings(recordings.tools, recordings.tools.ledger.create_owner("other"))
    other.finished(remember_clients=True)
    (voice,) = other.tools.ledger.list_voices(other.owner)
    assert client.get("/v1/voices").json() == {"voices": []}
    assert client.delete(f"/v1/voices/{voice.id}").status_code == 404
