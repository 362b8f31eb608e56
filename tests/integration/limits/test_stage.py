"""A provider that may not be asked, seen from the engine: runs wait in the ledger, attempts stay, money is counted."""

import threading
import time
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pydantic import SecretStr

from shared.adapters.openai import OpenAITranscriber, Patience
from shared.domain.audio import SAMPLE_RATE_HZ, Span
from shared.domain.errors import BudgetExhausted, ProviderPaused, ProviderUnavailable
from shared.domain.ids import OwnerId
from shared.domain.job import JobStatus, RunStatus
from shared.guard.breaker import Breaker
from shared.guard.prices import Price, Prices
from shared.guard.provider import ProviderGate
from shared.guard.spender import spending
from shared.ports.purse import Spender
from shared.ports.tick import no_tick
from shared.settings import ProviderLimits
from shared.toolbox import Toolbox
from tests.engine_lab import Lab
from tests.integration.limits.conftest import set_limits
from tests.speech_server import Answer, TranscriptionServer, problem, serving, transcription

pytestmark = pytest.mark.integration

SPEECH = (Span(0.5, 4.0),)
SAID = transcription("Good morning.", [("Good", 0.3, 0.6), ("morning", 0.6, 1.2)])
DEAR = Prices([Price("openai-compatible", "whisper-1", date(2026, 1, 1), "a test", audio_minute=6.0)])
BRISK = Breaker(
    failures=3, share=0.5, window_s=60.0, first_open_s=3.0, longest_open_s=5.0
)  # long enough to be seen open on a busy machine


@pytest.fixture
def lab(toolbox: Toolbox, owner: OwnerId) -> Lab:
    return Lab(toolbox, owner)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "shard.flac"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.01, 5 * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    return path


class Speech:
    """The OpenAI transcriber as a worker has it, with its gate, against a local server."""

    def __init__(self, toolbox: Toolbox, server: TranscriptionServer, **limits: int) -> None:
        settings = toolbox.settings.model_copy(
            update={
                "openai_api_key": SecretStr("sk-test"),
                "openai_base_url": server.base_url,
                "provider_limits": {"openai-compatible": ProviderLimits(**limits)},
            }
        )
        self.gate = ProviderGate(settings, toolbox.spending, prices=DEAR, breaker=BRISK)
        self.port = OpenAITranscriber(settings, self.gate, Patience(timeout_s=5.0, sleep=lambda _: None))

    def hear(self, recording: Path) -> int:
        return len(self.port.transcribe(recording, speech=SPEECH, language="en", tick=no_tick).words)

    def close(self) -> None:
        self.gate.close()


def test_a_held_run_keeps_its_attempts(lab: Lab) -> None:
    """Ten times refused by the gate, and the run is where it was: queued for later, no attempt used, job alive."""
    job = lab.job({"transcribe": {"fail": "provider_paused", "retry_after_s": 30.0}, "shards": 1}).job
    lab.work_off()
    for _ in range(10):
        lab.execute("UPDATE stage_runs SET not_before = now(), ready = true WHERE stage = 'transcribe'")
        lab.work_off()
    rows = lab.execute(
        "SELECT status, attempt, extract(epoch FROM not_before - now()) FROM stage_runs WHERE stage = 'transcribe'"
    )
    assert [(row[0], row[1]) for row in rows] == [(RunStatus.QUEUED, 0)]
    assert 25 < float(rows[0][2]) < 40
    assert lab.get(job.id).status is JobStatus.RUNNING


def test_a_provider_that_stays_away_ends_the_job(lab: Lab) -> None:
    """After the job's patience attempts are counted again: every job ends."""
    job = lab.job({"transcribe": {"fail": "provider_paused", "retry_after_s": 30.0}, "shards": 1}).job
    lab.work_off()
    lab.execute("UPDATE jobs SET started_at = now() - interval '7 hours'")
    for _ in range(10):
        lab.execute("UPDATE stage_runs SET not_before = now(), ready = true WHERE status = 'queued'")
        lab.work_off()
    ended = lab.get(job.id)
    assert ended.status is JobStatus.FAILED
    assert ended.error is not None
    assert ended.error.code == "provider_paused"


def test_a_run_that_is_too_dear_fails_at_once(lab: Lab) -> None:
    """No second attempt: the cap is the same then."""
    job = lab.job({"transcribe": {"fail": "budget_exhausted"}, "shards": 1}).job
    lab.work_off()
    ended = lab.get(job.id)
    assert ended.error is not None
    assert (ended.status, ended.error.code) == (JobStatus.FAILED, "budget_exhausted")


def test_a_storm_of_429_asks_few_times(toolbox: Toolbox, recording: Path) -> None:
    """Six workers and a provider that says `slow down`: the first answer closes the door, nobody sleeps in a slot."""
    with serving(problem(429, "slow down", retry_after="30")) as server:
        workers = [Speech(toolbox, server) for _ in range(6)]
        outcomes = [_outcome(worker, recording) for worker in workers]
        assert len(server.asked) == 1
    assert outcomes == ["ProviderUnavailable"] + ["ProviderPaused"] * 5


def _outcome(worker: Speech, recording: Path) -> str:
    try:
        worker.hear(recording)
    except (ProviderUnavailable, ProviderPaused) as error:
        return type(error).__name__
    finally:
        worker.close()
    return "heard"


def test_a_broken_provider_is_left_alone_and_found_again(toolbox: Toolbox, recording: Path) -> None:
    """Three failures open the circuit for another worker too; when it works again one call finds out, and all go on."""
    with serving(*[problem(500, "broken")] * 3, SAID) as server:
        one, other = Speech(toolbox, server), Speech(toolbox, server)
        with pytest.raises(ProviderUnavailable):
            one.hear(recording)
        with pytest.raises(ProviderPaused) as caught:
            other.hear(recording)
        assert len(server.asked) == 3
        time.sleep(float(str(caught.value.details["retry_after_s"])) + 0.05)
        assert other.hear(recording) == one.hear(recording) == 2
        one.close(), other.close()


def test_a_hanging_provider_does_not_take_every_worker(toolbox: Toolbox, recording: Path) -> None:
    """Two places: a third call is held instead of hanging with the others, and goes when they have ended."""
    hold = threading.Event()
    with serving(Answer(hold=hold, body=SAID.body)) as server:
        workers = [Speech(toolbox, server, at_once=2) for _ in range(3)]
        threads = [threading.Thread(target=worker.hear, args=(recording,)) for worker in workers[:2]]
        for thread in threads:
            thread.start()
        while len(server.asked) < 2:
            time.sleep(0.02)
        with pytest.raises(ProviderPaused) as caught:
            workers[2].hear(recording)
        assert caught.value.details["reason"] == "busy"
        hold.set()
        for thread in threads:
            thread.join()
        assert workers[2].hear(recording) == 2
        for worker in workers:
            worker.close()


def test_each_try_is_in_the_book(toolbox: Toolbox, recording: Path, spender: Spender) -> None:
    """A 500 that cost nothing, then an answer that is paid by the second of audio sent."""
    with serving(problem(500, "broken"), SAID) as server, spending(spender):
        speech = Speech(toolbox, server)
        assert speech.hear(recording) == 2
        speech.close()
    (item,) = toolbox.spending.of_job(spender.owner_id, spender.job_id)
    assert (item.calls, item.model) == (2, "whisper-1")
    assert item.micro_usd == pytest.approx(item.audio_s * 100_000, abs=2)
    assert toolbox.ledger.get_job(spender.owner_id, spender.job_id).micro_usd == item.micro_usd


def test_nothing_is_sent_beyond_the_cap(toolbox: Toolbox, recording: Path, spender: Spender) -> None:
    """The provider is not even asked."""
    set_limits(toolbox, spender.owner_id, job_budget_usd=0.01)
    with serving(SAID) as server, spending(spender):
        speech = Speech(toolbox, server)
        with pytest.raises(BudgetExhausted):
            speech.hear(recording)
        speech.close()
        assert server.asked == []
