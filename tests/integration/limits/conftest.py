"""A provider gate on real Redis and PostgreSQL, with a run that pays."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from shared.domain.ids import OwnerId
from shared.domain.job import Stage
from shared.ports.purse import Spender
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.integration.api.harness import Worker


@pytest.fixture
def memory(settings: Settings) -> Iterator["redis.Redis"]:
    """This test's Redis, to look into."""
    assert settings.redis_url is not None
    client = redis.Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True)
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def worker(toolbox: Toolbox, tmp_path: Path) -> Worker:
    return Worker(toolbox, tmp_path)


@pytest.fixture
def spender(toolbox: Toolbox, owner: OwnerId, worker: Worker) -> Spender:
    """A claimed run of a job of the owner's."""
    return new_spender(toolbox, owner, worker)


def new_spender(toolbox: Toolbox, owner: OwnerId, worker: Worker) -> Spender:
    from shared.domain.job import JobOptions, Source, SourceKind

    source = Source(SourceKind.URL, "https://lab.invalid/x")
    job = toolbox.ledger.create_job(owner, source=source, options=JobOptions()).job
    claim = worker.claim(job.id, Stage.DOWNLOAD)
    assert claim.job.id == job.id
    return Spender(owner, job.id, claim.run.id, claim.token)


def set_limits(toolbox: Toolbox, owner: OwnerId, **limits: float) -> None:
    """What the operator gives this owner instead of the default."""
    toolbox.owner_use.set_limits(owner, **limits)
