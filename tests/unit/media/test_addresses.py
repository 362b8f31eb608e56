"""Which addresses are fetched from."""

import socket

import pytest

from shared.domain.errors import SourceNotFound, SourceRefused, SourceUnavailable
from shared.guard.addresses import AddressGuard, check_url, is_public

pytestmark = pytest.mark.unit

PRIVATE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "2001:db8::1",
    "2001:0:1::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "5f00::1",
    "100::1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_that_is_not_public_is_seen(address: str) -> None:
    """Private, reserved, multicast, and IPv4 in disguise."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450::1"])
def test_a_public_address_is_seen(address: str) -> None:
    """The guard does not refuse the internet."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/a.mp3",
        "ftp://example.com/a.mp3",
        "file:///etc/passwd",
        "gopher://example.com/",
        "https://user:secret@example.com/a.mp3",
        "https://user@example.com/a.mp3",
        "https:///a.mp3",
        "a.mp3",
        "",
        "https://exa mple.com\x00/",
    ],
)
def test_an_address_of_the_wrong_kind_is_refused(url: str) -> None:
    """Without asking the network, and without repeating a password."""
    with pytest.raises(SourceRefused) as caught:
        check_url(url)
    assert "secret" not in caught.value.message


def test_plain_http_is_for_allowed_hosts_alone() -> None:
    """An entry with a port allows that port only."""
    assert check_url("http://files.test:8000/a", ("files.test:8000",)).host == "files.test"
    assert check_url("http://files.test/a", ("files.test",)).host == "files.test"
    with pytest.raises(SourceRefused):
        check_url("http://files.test:9000/a", ("files.test:8000",))


def test_one_private_address_among_public_ones_refuses_the_name() -> None:
    """Otherwise the second try would reach it."""
    guard = AddressGuard(resolve=lambda host, port: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(SourceRefused, match=r"mixed\.example"):
        guard.addresses("mixed.example", 443)


def test_an_allowed_host_may_be_private() -> None:
    """For an intranet, and for tests."""
    guard = AddressGuard(("nas.local",), lambda host, port: ["10.0.0.7"])
    assert guard.addresses("nas.local", 443) == ["10.0.0.7"]


@pytest.mark.parametrize("disguise", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
def test_other_spellings_of_the_loopback_are_refused(disguise: str) -> None:
    """The system's resolver understands them, so what it answers is what counts."""
    with pytest.raises((SourceRefused, SourceNotFound)):
        AddressGuard().addresses(disguise, 443)


@pytest.mark.parametrize(
    ("number", "error"), [(socket.EAI_NONAME, SourceNotFound), (socket.EAI_AGAIN, SourceUnavailable)]
)
def test_a_name_that_does_not_resolve(number: int, error: type[Exception]) -> None:
    """A name that is not there is final; a resolver that is down is worth another try."""

    def failing(host: str, port: int) -> list[str]:
        raise socket.gaierror(number, "no")

    with pytest.raises(error):
        AddressGuard(resolve=failing).addresses("gone.example", 443)
