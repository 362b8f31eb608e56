"""A caller's address never leads into a network that is not public, however it is written."""

import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

import httpcore
import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.adapters.http_fetcher import HttpFetcher
from shared.domain.errors import SourceError, SourceNotFound, SourceRefused
from shared.guard.addresses import AddressGuard, check_url, is_public
from shared.guard.transport import Deadline, GuardedTransport
from shared.settings import Settings
from tests.media_servers import scripted

pytestmark = pytest.mark.unit

# The whole of what is not the public internet, from IANA's registries of special addresses.
RESERVED = [
    ipaddress.ip_network(network)
    for network in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("224.0.0.0/4", "240.0.0.0/4"),
        *("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2001:2::/48"),
        *("2001:10::/28", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10"),
        *("fec0::/10", "ff00::/8"),
    )
]
METADATA = [
    "169.254.169.254",  # AWS, GCP, Azure, Fly
    "169.254.170.2",  # ECS
    "fd00:ec2::254",
    "100.100.100.200",  # Alibaba
    "192.0.0.192",  # Oracle
    "168.63.129.16",  # Azure's service for its machines
    "fdaa::3",  # Fly's private network and its API
]

addresses = st.one_of(
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    *(st.ip_addresses(network=str(network)) for network in RESERVED),
)


@given(addresses)
@example(ipaddress.ip_address("::ffff:169.254.169.254"))
@example(ipaddress.ip_address("2002:a9fe:a9fe::1"))
@example(ipaddress.ip_address("64:ff9b::a9fe:a9fe"))
@settings(max_examples=1000)
def test_no_address_of_a_reserved_network_passes(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """Whatever passes is global by Python's registry and in none of the networks listed here."""
    if is_public(str(address)):
        assert address.is_global
        assert not any(address in network for network in RESERVED if network.version == address.version)


@given(st.lists(addresses, min_size=1, max_size=5))
def test_a_name_is_as_bad_as_its_worst_address(found: list[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> None:
    """One that is not public among any number of public ones refuses the name."""
    guard = AddressGuard(resolve=lambda host, port: [str(address) for address in found])
    if all(is_public(str(address)) for address in found):
        assert list(guard.addresses("a.example", 443)) == [str(address) for address in found]
    else:
        with pytest.raises(SourceRefused):
            guard.addresses("a.example", 443)


def _system(answers: dict[str, Sequence[str]]) -> AddressGuard:
    """A resolver that knows these names, and reads every spelling of an address as the C library does."""

    def resolve(host: str, port: int) -> Sequence[str]:
        if host in answers:
            return answers[host]
        try:
            return [socket.inet_ntoa(socket.inet_aton(host))]
        except OSError:
            return [str(ipaddress.ip_address(host.partition("%")[0]))]

    return AddressGuard(resolve=resolve)


@pytest.mark.parametrize(
    "url",
    [
        *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0177.0.0.1/"),
        *("https://0x7f.0.0.1/", "https://017700000001/", "https://127.0.1/", "https://0/", "https://0.0.0.0/"),
        *("https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:7f00:1]/"),
        *("https://[64:ff9b::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[2002:7f00:1::]/"),
        *("https://[fe80::1%25eth0]/", "https://[::127.0.0.1]/", "https://[2001:0:7f00:1::]/"),
        *("https://169.254.169.254/latest/meta-data/", "https://2852039166/", "https://0xa9fea9fe/"),
        *("https://[fd00:ec2::254]/", "https://[fdaa::3]/", "https://100.100.100.200/", "https://192.0.0.192/"),
        *("https://127.0.0.1:443/", "https://127.0.0.1:6379/", "https://127.0.0.1:5432/", "https://10.0.0.1:22/"),
        *("https://user@127.0.0.1/", "https://example.com@127.0.0.1/", "https://127.0.0.1#@example.com/"),
        *("https://127.0.0.1\\@example.com/", "https://example.com:80@10.0.0.1/"),
        *("https://①②⑦.⓪.⓪.①/", "https://１２７.0.0.1/", "https://127。0。0。1/", "https://127%2e0%2e0%2e1/"),
        *("https://localhost/", "https://metadata.google.internal/", "https://LOCALHOST./", "https://evil.example/"),
        *("http://example.com/", "ftp://example.com/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x"),
        *("dict://127.0.0.1:11211/", "data:audio/wav;base64,AAAA", "javascript:alert(1)", "//127.0.0.1/", "https:///x"),
        *("unix:/var/run/docker.sock", "jar:https://example.com!/", "https://exa\r\nmple.com/", "https://[::1"),
    ],
)
def test_every_spelling_of_a_private_place_is_refused(url: str) -> None:
    """Decimal, octal, hexadecimal, short, mapped, translated, tunnelled, in full width, with a zone or a user name."""
    guard = _system(
        {
            "localhost": ["127.0.0.1", "::1"],
            "localhost.": ["127.0.0.1"],
            "metadata.google.internal": ["169.254.169.254"],
            "evil.example": ["8.8.8.8", "169.254.169.254"],
        }
    )
    with pytest.raises((SourceRefused, SourceNotFound, ValueError)):
        _reach(guard, url)


def _reach(guard: AddressGuard, url: str) -> None:
    """What the transport does before it connects."""
    parsed = check_url(url)
    guard.check(parsed)
    guard.addresses(parsed.raw_host.decode("ascii"), parsed.port or 443)


@pytest.mark.parametrize("address", METADATA)
def test_no_cloud_tells_its_secrets(address: str) -> None:
    """The addresses at which clouds hand out credentials."""
    assert not is_public(address)


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_checked(tmp_path: Path) -> None:
    """DNS rebinding: the second answer is never asked for within a connection, and never trusted in the next one."""
    answers = iter([["93.184.215.14"], ["127.0.0.1"]])
    connected: list[str] = []

    class Sockets(httpcore.MockBackend):
        def connect_tcp(self, host: str, *args: object, **kwargs: object) -> httpcore.NetworkStream:
            connected.append(host)
            raise httpcore.ConnectError("nobody there")

    guard = AddressGuard(resolve=lambda host, port: next(answers))
    transport = GuardedTransport(guard, Deadline.after(5.0), sockets=Sockets([]))
    with httpx.Client(transport=transport, trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            client.get("https://rebind.example/")
        with pytest.raises(SourceRefused):
            client.get("https://rebind.example/")
    assert connected == ["93.184.215.14"]


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:{port}/secret",
        "https://127.0.0.1:{port}/secret",
        "https://[::1]:{port}/secret",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "//127.0.0.1:{port}/secret",
        "https://user:hidden@inside.test:{port}/",
    ],
)
def test_a_redirect_leads_nowhere_private(target: str, tmp_path: Path) -> None:
    """The door was public, what it points to is not: it is refused before a byte is sent there."""
    with scripted(lambda to, n: to.whole(b"secret")) as inside:
        location = target.format(port=inside.server_port)
        with scripted(lambda to, n: to.begin(302, Location=location, Content_Length="0")) as door:
            fetcher = HttpFetcher(Settings(fetch_allow_hosts=(door.host,), fetch_timeout_s=1.0, fetch_total_s=5.0))
            with pytest.raises(SourceError) as caught:
                fetcher.fetch(f"http://{door.host}/a", tmp_path / "got", max_bytes=100, on_progress=lambda *step: None)
        assert inside.asked == []
        assert (tmp_path / "got").read_bytes() == b""
        assert "hidden" not in caught.value.message
