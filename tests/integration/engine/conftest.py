"""The engine's lab: real database, broker and object store, stages that do as they are told."""

from collections.abc import Iterator

import pytest

from shared.domain.ids import OwnerId
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.engine_lab import Lab


@pytest.fixture
def quick(settings: Settings) -> Settings:
    """The same engine with less patience."""
    return settings.model_copy(update={"retry_base_s": 0.0, "lease_s": 2.0, "beat_s": 0.2})


@pytest.fixture
def lab(quick: Settings) -> Iterator[Lab]:
    tools = Toolbox(quick)
    yield Lab(tools, OwnerId(tools.ledger.create_owner("lab")))
    tools.close()
