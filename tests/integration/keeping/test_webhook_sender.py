"""One try of one delivery, against receivers that do what receivers do."""

import itertools
import ssl
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared.adapters.webhook_sender import WebhookSender, sign
from shared.domain.webhooks import Answer, Letter
from shared.settings import Settings
from tests.webhook_receiver import SECRET, Receiver, Receiving, receiving, status

pytestmark = pytest.mark.integration

OTHER = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY="


def sender(receiver: Receiver) -> WebhookSender:
    return WebhookSender(Settings(fetch_allow_hosts=(receiver.host,)))


def test_a_receiver_with_the_published_library_believes_us() -> None:
    """The signature is that of Standard Webhooks, over id, time and body; another body or secret is refused."""
    with receiving() as receiver:
        answer = sender(receiver).send(receiver.letter())
    assert (answer.accepted, answer.status) == (True, 204)
    [got] = receiver.got
    assert Webhook(SECRET).verify(got.body, got.headers) == {"type": "webhook.test"}
    assert got.headers["webhook-id"] == receiver.letter().id
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body.replace("test", "best"), got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(OTHER).verify(got.body, got.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(got.body, {**got.headers, "webhook-timestamp": str(int(time.time()) - 30)})


def test_during_a_rotation_both_secrets_verify() -> None:
    """One signature a secret, in one header."""
    with receiving() as receiver:
        sender(receiver).send(receiver.letter(secrets=(OTHER, SECRET)))
    [got] = receiver.got
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(got.body, got.headers)


def test_the_signature_is_the_one_of_the_specification() -> None:
    """The published library makes the same from the same."""
    theirs = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(1_700_000_000, UTC), "{}")
    assert sign("msg_1", 1_700_000_000, "{}", (SECRET,)) == theirs


@pytest.mark.parametrize(
    ("code", "error", "gone"),
    [
        (200, None, False),
        (400, "refused_by_receiver", False),
        (410, "refused_by_receiver", True),
        (500, "receiver_failed", False),
        (503, "receiver_failed", False),
    ],
)
def test_what_an_answer_means(code: int, error: str | None, gone: bool) -> None:
    """Any 2xx is an acceptance, 410 a farewell, the rest a failure."""
    with receiving(status(code)) as receiver:
        answer = sender(receiver).send(receiver.letter())
    assert (answer.status, answer.error, answer.gone) == (code, error, gone)


def test_a_receiver_may_ask_for_time() -> None:
    """Retry-After counts with 429 and 503, and only as a plain number."""
    for code, asked, heard in ((429, "120", 120.0), (503, "7", 7.0), (500, "7", None), (503, "9" * 400, None)):
        with receiving(status(code, Retry_After=asked)) as receiver:
            assert sender(receiver).send(receiver.letter()).retry_after_s == heard


def test_a_redirect_is_not_followed() -> None:
    """Not even to an address that would be allowed: the signature was not made for it."""
    with receiving() as elsewhere, receiving(status(307, Location=f"http://{elsewhere.host}/")) as receiver:
        allowed = WebhookSender(Settings(fetch_allow_hosts=(receiver.host, elsewhere.host)))
        answer = allowed.send(receiver.letter())
    assert (answer.status, answer.error, elsewhere.got) == (307, "redirected", [])


def test_a_huge_answer_is_not_read() -> None:
    """The status is enough: a receiver cannot fill our memory or our time."""
    sent = [0]

    def endless(asked: Receiving) -> None:
        asked.send_response(200)
        asked.send_header("Content-Length", str(10**12))
        asked.end_headers()
        for _ in itertools.count():
            sent[0] += asked.wfile.write(b"x" * 65_536)

    with receiving(endless) as receiver:
        answer = sender(receiver).send(receiver.letter())
    assert answer.accepted
    assert sent[0] < 100 * 1024**2


def impatient(receiver: Receiver, total_s: float) -> WebhookSender:
    return WebhookSender(Settings(fetch_allow_hosts=(receiver.host,)), total_s=total_s)


def test_a_receiver_that_hangs_is_left() -> None:
    """Whether it says nothing at all or one byte now and then: there is an end to it."""

    def silent(asked: Receiving) -> None:
        asked.server.ending.wait(30)

    def trickle(asked: Receiving) -> None:
        asked.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not asked.server.ending.wait(0.1):
            asked.wfile.write(b"X-More: 1\r\n")

    for behave in (silent, trickle):
        with receiving(behave) as receiver:
            answer = impatient(receiver, 0.5).send(receiver.letter())
        assert (answer.status, answer.error) == (None, "timed_out")


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.8", "169.254.169.254", "::1", "::ffff:127.0.0.1"])
def test_private_addresses_are_never_called(address: str) -> None:
    """A name that now means an address of our own network is refused at the connection."""
    with receiving() as receiver:
        letter = Letter("i", "t", f"https://rebound.example:{receiver.server_port}/", "{}", (SECRET,), 1)
        answer = WebhookSender(Settings(), resolve=lambda host, port: [address]).send(letter)
    assert (answer.error, receiver.got) == ("address_refused", [])


def test_nothing_plain_and_nobody_there(free_port: int) -> None:
    """Plain http is refused unless allowed by name; a closed port and a missing name have words of their own."""

    def tried(url: str, **settings: object) -> Answer:
        made = WebhookSender(Settings(**settings))  # type: ignore[arg-type]
        return made.send(Letter("i", "t", url, "{}", (SECRET,), 1))

    assert tried("http://example.com/").error == "address_refused"
    closed = f"127.0.0.1:{free_port}"
    assert tried(f"http://{closed}/", fetch_allow_hosts=(closed,)).error == "no_connection"
    assert tried("https://there-is-none.invalid/").error in ("no_such_host", "no_connection")


def test_https_needs_a_certificate_that_is_valid(tls: tuple[Path, ssl.SSLContext]) -> None:
    """With one that we trust it arrives; with one that nobody vouches for it does not."""
    pair, trusted = tls
    with receiving() as receiver:
        served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        served.load_cert_chain(pair)
        receiver.socket = served.wrap_socket(receiver.socket, server_side=True)
        letter = Letter("i", "t", f"https://hooks.example:{receiver.server_port}/x", "{}", (SECRET,), 1)
        allowed = Settings(fetch_allow_hosts=(f"hooks.example:{receiver.server_port}",))

        def here(host: str, port: int) -> list[str]:
            return ["127.0.0.1"]

        assert WebhookSender(allowed, resolve=here, certificates=trusted).send(letter).accepted
        assert WebhookSender(allowed, resolve=here).send(letter).error == "address_refused"
    assert [got.path for got in receiver.got] == ["/x"]


def test_no_secret_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """What is logged and what is answered hold neither the secret nor the path of the address."""
    with receiving(status(500)) as receiver:
        answer = sender(receiver).send(receiver.letter(path="/hook/token-in-a-path"))
    told = repr(answer) + caplog.text
    assert SECRET not in told
    assert "token-in-a-path" not in told
