"""All of VibeInsight on one machine, as one thing to start and stop: servers, schema, key, services."""

import contextlib
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from cli import running, services
from cli.client import Address
from cli.servers.ports import LOOPBACK, free_ports
from cli.servers.process import Child, NotReady
from cli.servers.secrets import write_private
from cli.stack import Stack
from cli.supervisor import Supervisor, stop_all
from shared.domain.errors import SetupError, Unauthorized
from shared.settings import Settings
from shared.toolbox import Toolbox

if TYPE_CHECKING:
    from shared.store.ledger import Ledger

PROBE_TIMEOUT_S = 2.0

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Installation:
    """What runs, and how to reach it."""

    stack: Stack
    address: Address
    flower_url: str | None


@contextlib.contextmanager
def installed(settings: Settings, tell: Tell, *, port: int | None, with_flower: bool) -> Iterator[Installation]:
    """Everything up, until the block is left by whatever way; then everything down again."""
    crew: list[Child] = []
    with contextlib.ExitStack() as cleanup:
        port = _api_port(port)
        stack = cleanup.enter_context(Stack.start(_reached_at(settings, port)))
        cleanup.callback(stop_all, crew)
        key = _prepare_ledger(stack)
        flower_port = free_ports(1)[0] if with_flower else None
        for service in _services(stack, port, flower_port):
            crew.append(Child(service.recipe(stack), stack.guard))
        address = Address(f"http://{LOOPBACK}:{port}", key)
        crew[0].wait_until(lambda: _probe(address))
        flower_url = f"http://{LOOPBACK}:{flower_port}" if flower_port else None
        _watch(stack, crew, tell, cleanup)
        running.leave_note(stack.data_dir, address.url, flower_url)
        cleanup.callback(running.take_note_back, stack.data_dir)
        yield Installation(stack, address, flower_url)


def _watch(stack: Stack, crew: list[Child], tell: Tell, cleanup: contextlib.ExitStack) -> None:
    supervisor = Supervisor([stack.servers, crew], tell)
    supervisor.start()
    cleanup.callback(supervisor.stop)


def _services(stack: Stack, port: int, flower_port: int | None) -> list[services.Service]:
    wanted = [
        services.api(port),
        *services.workers(stack.settings.transcribe_processes, watched=flower_port is not None),
    ]
    if flower_port:
        wanted.append(services.flower(flower_port, stack.secrets.flower_password))
    return wanted


def _reached_at(settings: Settings, port: int) -> Settings:
    return settings.model_copy(update={"public_url": f"http://{LOOPBACK}:{port}"})


def _api_port(wanted: int | None) -> int:
    if not wanted:
        return free_ports(1)[0]
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            raise SetupError(f"Port {wanted} is taken by another program; choose one with --port.") from error
    return wanted


def _prepare_ledger(stack: Stack) -> str:
    """The schema brought up to date, and a key that is valid there; returns the key."""
    from shared.store.migrate import upgrade

    upgrade(stack.settings)
    with contextlib.closing(Toolbox(stack.settings)) as toolbox:
        return _valid_key(toolbox.ledger, stack.data_dir / running.KEY)


def _valid_key(ledger: "Ledger", path: Path) -> str:
    if path.exists():
        with contextlib.suppress(Unauthorized):
            ledger.owner_of_key(path.read_text().strip())
            return path.read_text().strip()
    key = ledger.create_api_key(ledger.create_owner("local"), "command line")
    write_private(path, key + "\n")
    return key


def _probe(address: Address) -> None:
    try:
        response = httpx.get(f"{address.url}/readyz", timeout=PROBE_TIMEOUT_S, trust_env=False)
    except httpx.TransportError as error:
        raise NotReady(type(error).__name__) from error
    if response.is_error:
        raise NotReady(f"HTTP {response.status_code}")
