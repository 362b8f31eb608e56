"""The engine's lab, with a short patience."""

from collections.abc import Iterator

import pytest

from shared.domain.ids import OwnerId
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.engine_lab import Lab


@pytest.fixture
def quick(settings: Settings) -> Settings:
    return settings.model_copy(update={"retry_base_s": 0.0, "lease_s": 3.0, "beat_s": 0.5})


@pytest.fixture
def lab(quick: Settings) -> Iterator[Lab]:
    tools = Toolbox(quick)
    yield Lab(tools, OwnerId(tools.ledger.create_owner("lab")))
    tools.close()
