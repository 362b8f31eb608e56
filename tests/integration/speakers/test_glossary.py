"""The glossary over HTTP: kept as a whole, led by, corrected with."""

import httpx
import pytest

from tests.integration.speakers.conftest import Recordings

pytestmark = pytest.mark.integration


def test_a_glossary_is_replaced_as_a_whole(client: httpx.Client) -> None:
    """What was set is what is read; nothing else is left; too short a term is refused."""
    assert client.get("/v1/glossary").json() == {"terms": []}
    terms = [{"term": "Przybylski", "sounds_like": ["Shibilski"], "language": None}]
    assert client.put("/v1/glossary", json={"terms": terms}).json() == {"terms": terms}
    assert client.get("/v1/glossary").json() == {"terms": terms}
    assert client.put("/v1/glossary", json={"terms": [{"term": "X"}]}).status_code == 422
    assert client.put("/v1/glossary", json={"terms": []}).json() == {"terms": []}


def test_terms_reach_the_transcript(client: httpx.Client, recordings: Recordings) -> None:
    """The owner's spelling is used in recordings from then on, and what had been recognised can be seen."""
    before = recordings.result(recordings.finished())
    assert "stressed" in before["transcript"]["text"]
    client.put("/v1/glossary", json={"terms": [{"term": "Streszt", "sounds_like": ["stressed"]}]})
    after = recordings.result(recordings.finished())
    words = [word for segment in after["transcript"]["segments"] for word in segment["words"]]
    assert [(word["text"], word["heard"]) for word in words if word["heard"]] == [(" Streszt", " stressed")]
    assert after["transcript"]["text"] == before["transcript"]["text"].replace("stressed", "Streszt")
