"""All that a programme needs around the engine: servers of its own that may be hurt, and the processes of the lab."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from pydantic import SecretStr

from cli.servers.process import Child
from cli.stack import Stack
from shared.domain.audio import SAMPLE_RATE_HZ
from shared.domain.ids import OwnerId
from shared.settings import Settings
from shared.store.migrate import upgrade
from shared.toolbox import Toolbox
from tests.chaos.programme import provider, s3_proxy
from tests.chaos.programme.crew import Crew
from tests.chaos.programme.profile import Profile
from tests.engine_lab import Lab

RECORDING_S = 600.0  # with noise reduction a second of work: long enough to be caught in the middle


@dataclass
class World:
    """`lab` looks at the ledger directly and at the objects past the proxy; everybody else goes through it."""

    stack: Stack
    lab: Lab
    crew: Crew
    proxy: s3_proxy.S3Proxy
    provider: provider.Provider
    key: str

    def server(self, name: str) -> Child:
        return next(child for child in self.stack.servers if child.recipe.name == name)

    def start_again(self, name: str) -> None:
        place = self.stack.servers.index(self.server(name))
        self.stack.servers[place] = self.stack.servers[place].again()


@contextmanager
def world(profile: Profile, folder: Path) -> Iterator[World]:
    with ExitStack() as stack:
        servers = stack.enter_context(Stack.start(_bare(folder)))
        proxy = stack.enter_context(s3_proxy.before(servers.settings.s3_endpoint_url or ""))
        voices = stack.enter_context(provider.providing())
        direct = servers.settings.model_copy(update=dict(profile.engine))
        upgrade(direct)
        hurt = direct.model_copy(
            update={
                "s3_endpoint_url": proxy.url,
                "transcriber": "openai",
                "openai_base_url": voices.base_url,
                "openai_api_key": SecretStr("not-a-key-but-sent-as-one"),
            }
        )
        tools = Toolbox(direct)
        stack.callback(tools.close)
        owner = OwnerId(tools.ledger.create_owner("chaos"))
        lab = Lab(tools, owner)
        (folder / "crew").mkdir()
        recording = _recording(folder / "long.wav")
        crew = Crew(hurt, folder / "crew", recording, processes=profile.processes)
        stack.callback(crew.stop)
        key = tools.ledger.create_api_key(owner, "chaos")
        yield World(servers, lab, crew, proxy, voices, key)


def _bare(folder: Path) -> Settings:
    """No server of the machine's is used: these will be killed. Durable, as in production."""
    return Settings(database_url=None, redis_url=None, s3_endpoint_url=None, data_dir=folder / "data")


def _recording(path: Path) -> Path:
    noise = np.random.default_rng(0).standard_normal(round(RECORDING_S * SAMPLE_RATE_HZ)) * 0.1
    soundfile.write(path, noise, SAMPLE_RATE_HZ, subtype="PCM_16")
    return path
