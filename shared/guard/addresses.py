"""Which addresses we fetch from. A caller's URL must never reach our own network or a cloud's metadata service.

A name is resolved once, every address it has must be public, and the connection goes to an address checked here:
resolving again at connect time would let a name change its mind in between.
"""

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from shared.domain.errors import SourceNotFound, SourceRefused, SourceUnavailable

Resolver = Callable[[str, int], Sequence[str]]

_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all of IPv6 that is routed; NAT64 and mapped IPv4 lie outside
# Global by Python's tables, but nothing that anybody's recording lies on.
_SPECIAL = tuple(
    ipaddress.ip_network(network)
    for network in (
        "2002::/16",  # 6to4: IPv4 in disguise
        "2001::/23",  # Teredo, which is another disguise, and the rest of the protocols' own range
        "3fff::/20",  # documentation; Python 3.11 does not know it yet
        "192.0.0.0/24",  # protocols' own; 192.0.0.192 is a cloud's metadata service
        "192.88.99.0/24",  # relays of 6to4
        "168.63.129.16/32",  # a cloud's own service for its machines, at a public address
    )
)


def resolve_by_system(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """False for private, loopback, link-local, multicast, reserved and translated addresses."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if parsed.version == 6 and parsed not in _GLOBAL_UNICAST:
        return False
    if any(parsed in network for network in _SPECIAL if network.version == parsed.version):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def check_url(url: str, allow_hosts: tuple[str, ...] = ()) -> httpx.URL:
    """Refuse at once, before anything is queued, what would be refused without asking the network."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise SourceRefused("The address is not a valid URL") from error
    AddressGuard(allow_hosts).check(parsed)
    return parsed


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """`allow_hosts` holds host or host:port that may be fetched although private, and over plain http."""

    allow_hosts: tuple[str, ...] = ()
    resolve: Resolver = resolve_by_system

    def check(self, url: httpx.URL) -> None:
        """What can be said without asking the network."""
        if not url.host:
            raise SourceRefused("The address names no host; give a full https address")
        if url.userinfo:
            raise SourceRefused(f"The address of {url.host} holds a user name or password; use a signed link instead")
        if url.scheme != "https" and not (url.scheme == "http" and self._allowed(url.host, url.port or 80)):
            raise SourceRefused(f"Only https addresses are fetched, not {url.scheme}: {url.host}")

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """The addresses to connect to, in the resolver's order."""
        found = self._resolved(host, port)
        if not self._allowed(host, port) and not all(map(is_public, found)):
            raise SourceRefused(f"{host} lies in a private or reserved network, from which nothing is fetched")
        return found

    def _allowed(self, host: str, port: int) -> bool:
        return host.lower() in self.allow_hosts or f"{host.lower()}:{port}" in self.allow_hosts

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        try:
            found = self.resolve(host, port)
        except (socket.gaierror, UnicodeError) as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN:
                raise SourceUnavailable(f"The name {host} could not be resolved just now") from error
            raise SourceNotFound(f"There is no host named {host}") from error
        if not found:
            raise SourceNotFound(f"The host {host} has no address")
        return found
