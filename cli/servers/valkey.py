"""Valkey: the doorbell of a machine without a Redis."""

import socket
from pathlib import Path

from cli.servers import wheels
from cli.servers.ports import LOOPBACK, free_ports
from cli.servers.process import Child, Guard, NotReady, Recipe
from cli.servers.secrets import write_private

PROBE_TIMEOUT_S = 1.0


def start(folder: Path, logs: Path, password: str, guard: Guard, *, durable: bool) -> tuple[Child, str]:
    """Returns the server and its redis:// address; the password is in a private file, not on the command line."""
    folder.mkdir(exist_ok=True)
    (port,) = free_ports(1)
    config = folder / "valkey.conf"
    write_private(config, _config(port, password, durable=durable))
    recipe = Recipe(
        "valkey", [wheels.valkey_server(), config], logs / "valkey.log", environment={"LC_ALL": "C"}, folder=folder
    )
    return Child(recipe, guard), f"redis://:{password}@{LOOPBACK}:{port}/0"


def _config(port: int, password: str, *, durable: bool) -> str:
    lines = [
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        "dir .",  # relative: a folder's name may hold blanks
        'save ""',
        f"appendonly {'yes' if durable else 'no'}",
        "appendfsync everysec",
        "maxmemory-policy noeviction",  # a full broker must say no, not forget rings
        "databases 1024",  # one for each test
    ]
    return "\n".join(lines) + "\n"


def probe(url: str) -> None:
    """Speaks the protocol itself: PING must be answered with PONG, whatever libraries are installed."""
    secret, _, address = url.removeprefix("redis://:").partition("@")
    port = int(address.partition(":")[2].partition("/")[0])
    try:
        with socket.create_connection((LOOPBACK, port), PROBE_TIMEOUT_S) as link:
            link.sendall(f"AUTH {secret}\r\nPING\r\n".encode())
            answer = b""
            while b"PONG" not in answer:
                piece = link.recv(256)
                if not piece:
                    raise NotReady(answer.decode(errors="replace").strip() or "closed")
                answer += piece
    except OSError as error:
        raise NotReady(str(error)) from error
