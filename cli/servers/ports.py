"""Loopback ports for servers that must be told a number."""

import contextlib
import random
import socket

LOOPBACK = "127.0.0.1"
# Below 32768, where Linux hands out ports for outgoing connections, so that none of those can take ours.
FIRST, LAST = 12_000, 32_000
TRIES = 400


def is_free(port: int) -> bool:
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((LOOPBACK, port))
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Different ports, drawn at random so that two stacks that start together hardly ever meet."""
    found: list[int] = []
    for port in random.SystemRandom().sample(range(FIRST, LAST), TRIES):
        if len(found) == count:
            break
        if is_free(port):
            found.append(port)
    return found
