"""The lab again, with real processes around it and a short lease, so that a round takes seconds."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.domain.ids import OwnerId
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.engine_lab import Lab
from tests.engine_processes import Processes


@pytest.fixture
def hasty(settings: Settings) -> Settings:
    """What matters is the order of lease, heartbeat and work, not their lengths."""
    return settings.model_copy(update={"retry_base_s": 0.2, "lease_s": 4.0, "beat_s": 1.0})


@pytest.fixture
def lab(hasty: Settings) -> Iterator[Lab]:
    tools = Toolbox(hasty)
    yield Lab(tools, OwnerId(tools.ledger.create_owner("lab")))
    tools.close()


@pytest.fixture
def processes(hasty: Settings, tmp_path: Path) -> Iterator[Processes]:
    started = Processes(hasty, tmp_path)
    yield started
    started.stop()


@pytest.fixture(scope="session")
def rounds() -> int:
    """`make chaos` asks for more."""
    return int(os.environ.get("VIBEINSIGHT_CHAOS_ROUNDS", "5"))
