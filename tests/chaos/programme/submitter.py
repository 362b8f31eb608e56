"""A client that submits jobs for as long as the storm lasts, as a client should: the same key until it is taken."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from shared.domain.errors import StorageUnavailable
from tests.chaos.programme.recovery import Recovery

NAP_S = 0.8  # of each stage: long enough to be hit in the middle of it
AGAIN_S = 0.2
MOST_OPEN = (
    20  # jobs: enough to keep every process busy, few enough that waiting one's turn is no part of what we measure
)
TIMEOUT_S = 15.0
ROUND = ("decode", "spoken", "plain", "decode", "hungry", "papers", "decode", "large", "spoken", "plain")


@dataclass
class Submitter:
    """Every key that was begun is brought to an end, whatever the API answers meanwhile."""

    url: Callable[[], str]  # where the API is just now
    key: str
    seed: int
    pause_s: float
    recovery: Recovery
    taken: dict[str, str] = field(default_factory=dict)  # idempotency key -> job
    refused: list[str] = field(default_factory=list)  # answers that another try cannot mend: there must be none
    failures: int = 0

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="submitter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Waits for the last one to be taken."""
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive(), "the API takes no jobs any more"

    def _run(self) -> None:
        number = 0
        with httpx.Client(headers={"Authorization": f"Bearer {self.key}"}, timeout=TIMEOUT_S) as api:
            while not self._stop.is_set():
                if self._has_room():
                    self._submit(api, number)
                    number += 1
                self._stop.wait(self.pause_s)

    def _has_room(self) -> bool:
        try:
            rows = self.recovery.lab.execute("SELECT count(*) FROM jobs WHERE status IN ('queued', 'running')")
        except StorageUnavailable:
            return True  # so that the API is asked while the database is away, too
        return bool(rows[0][0] < MOST_OPEN)

    def _submit(self, api: httpx.Client, number: int) -> None:
        key = f"{self.seed}-{number}"
        script = {"kind": ROUND[number % len(ROUND)], "nap_s": NAP_S, "job": key}
        body = {"source": {"url": "https://lab.invalid/x.wav"}, "session_id": json.dumps(script)}
        away_since: float | None = None
        while True:
            answer = self._post(api, key, body)
            if answer is not None and answer.status_code == 202:
                self.taken[key] = answer.json()["id"]
                if away_since is not None:
                    self.recovery.api_s.append(time.monotonic() - away_since)
                return
            if answer is not None and answer.status_code not in (429, 503):
                self.refused.append(f"{answer.status_code} {answer.text[:200]}")
                return
            away_since = away_since or time.monotonic()
            self.failures += 1
            time.sleep(AGAIN_S)

    def _post(self, api: httpx.Client, key: str, body: object) -> httpx.Response | None:
        try:
            return api.post(f"{self.url()}/v1/jobs", json=body, headers={"Idempotency-Key": key})
        except httpx.HTTPError:
            return None
