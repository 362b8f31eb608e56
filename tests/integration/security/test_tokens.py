"""Tokens of Supabase users: the good ones are known by their signature, and nothing else gets in."""

import base64
import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pydantic import SecretStr

from shared.domain.errors import SetupError, StorageUnavailable, Unauthorized
from shared.guard.jwks import AGAIN_S, FRESH_S, MOST_BYTES, KeySet
from shared.guard.tokens import LONGEST_TOKEN, Tokens
from shared.settings import Settings
from tests.integration.security.conftest import SHARED_SECRET, Caller, Issuer
from tests.media_servers import scripted

pytestmark = pytest.mark.integration

ALGORITHMS = ("HS256", "RS256", "ES256")
Forge = Callable[[Issuer], str]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_user_is_known_by_their_token(address: str, issuer: Issuer, algorithm: str) -> None:
    """The first request makes them an owner; the second finds what the first left."""
    user = Caller(address, issuer.token(algorithm=algorithm))
    job = user("POST", "/v1/jobs", json={"source": {"url": "https://example.com/a.m4a"}})
    assert job.status_code == 202
    assert [found["id"] for found in user("GET", "/v1/jobs").json()["jobs"]] == [job.json()["id"]]


def test_users_are_strangers_to_each_other(address: str, issuer: Issuer) -> None:
    """Each sees their own jobs, whatever the token's algorithm; the id of another's leads nowhere."""
    one, other = uuid.uuid4(), uuid.uuid4()
    first, again = (Caller(address, issuer.token(str(one), algorithm=name)) for name in ("HS256", "ES256"))
    second = Caller(address, issuer.token(str(other)))
    job = first("POST", "/v1/jobs", json={"source": {"url": "https://example.com/a.m4a"}}).json()
    assert again("GET", f"/v1/jobs/{job['id']}").status_code == 200
    assert second("GET", f"/v1/jobs/{job['id']}").status_code == 404
    assert second("GET", "/v1/jobs").json()["jobs"] == []


def test_a_user_is_no_operator(user: Caller) -> None:
    """A user may make keys of their own, with an owner's rights and no more."""
    assert user("POST", "/v1/keys", json={"label": "x", "scopes": ["jobs:read"]}).status_code == 201
    assert user("POST", "/v1/keys", json={"label": "x", "scopes": ["operator"]}).status_code == 403


def _encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def _unsigned(issuer: Issuer, algorithm: str) -> str:
    return f"{_encoded({'alg': algorithm, 'typ': 'JWT'})}.{_encoded(issuer.claims())}."


def _confused(issuer: Issuer) -> str:
    """Signed with the public key as if it were a shared secret: the classic of algorithm confusion."""
    public = issuer.rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    body = f"{_encoded({'alg': 'HS256', 'kid': 'rsa'})}.{_encoded(issuer.claims())}"
    signature = hmac.new(public, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _tampered(issuer: Issuer) -> str:
    header, _, signature = issuer.token().split(".")
    return f"{header}.{_encoded(issuer.claims())}.{signature}"


def _by_another_key(issuer: Issuer, **headers: Any) -> str:
    return jwt.encode(
        issuer.claims(), ec.generate_private_key(ec.SECP256R1()), "ES256", headers={"kid": "ec", **headers}
    )


def _without(issuer: Issuer, claim: str) -> str:
    claims = issuer.claims()
    del claims[claim]
    return jwt.encode(claims, SHARED_SECRET, "HS256")


FORGED: dict[str, Forge] = {
    "expired": lambda issuer: issuer.token(exp=int(time.time()) - 60),
    "not yet valid": lambda issuer: issuer.token(nbf=int(time.time()) + 600),
    "issued in the future": lambda issuer: issuer.token(iat=int(time.time()) + 600),
    "for another audience": lambda issuer: issuer.token(aud="another"),
    "for no audience": lambda issuer: _without(issuer, "aud"),
    "by another issuer": lambda issuer: issuer.token(iss="https://evil.example/auth/v1"),
    "without an end": lambda issuer: _without(issuer, "exp"),
    "without a subject": lambda issuer: _without(issuer, "sub"),
    "for a subject that is no id": lambda issuer: issuer.token("admin"),
    "of the anonymous role": lambda issuer: issuer.token(role="anon"),
    "of the service role": lambda issuer: issuer.token(algorithm="HS256", role="service_role"),
    "of nobody signed in": lambda issuer: issuer.token(is_anonymous=True),
    "by another key": _by_another_key,
    "with an unknown key id": lambda issuer: _by_another_key(issuer, kid="made-up"),
    "with a key in its header": lambda issuer: _by_another_key(issuer, jwk=issuer.published[0]),
    "with an address in its header": lambda issuer: _by_another_key(issuer, jku="http://127.0.0.1:9/keys"),
    "with the other kind of key": lambda issuer: jwt.encode(
        issuer.claims(), rsa.generate_private_key(65_537, 2048), "RS256", headers={"kid": "ec"}
    ),
    "by another secret": lambda issuer: jwt.encode(issuer.claims(), "x" * 40, "HS256"),
    "with a stronger sibling": lambda issuer: jwt.encode(issuer.claims(), SHARED_SECRET * 2, "HS512"),
    "changed after signing": _tampered,
    "unsigned": lambda issuer: _unsigned(issuer, "none"),
    "unsigned in capitals": lambda issuer: _unsigned(issuer, "NONE"),
    "unsigned but said to be": lambda issuer: _unsigned(issuer, "HS256"),
    "signed with the public key": _confused,
    "too long": lambda issuer: issuer.token(filler="x" * LONGEST_TOKEN),
    "not a token": lambda issuer: "a.b.c",
    "not text": lambda issuer: "ÿ.þ.ý".encode("latin-1").hex() + "..",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_bad_token_opens_nothing(address: str, issuer: Issuer, forge: Forge) -> None:
    """401 with one sentence for all of them; only what has expired is told so."""
    answer = Caller(address, forge(issuer))("GET", "/v1/jobs")
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthorized"
    assert len(answer.json()["detail"]) < 100


def test_clocks_may_differ_a_little(address: str, issuer: Issuer) -> None:
    """A token that ended a moment ago, or begins in a moment, is taken: leeway, not laxity."""
    now = int(time.time())
    assert Caller(address, issuer.token(exp=now - 2))("GET", "/v1/jobs").status_code == 200
    assert Caller(address, issuer.token(nbf=now + 4, iat=now + 4))("GET", "/v1/jobs").status_code == 200


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def own() -> Iterator[Issuer]:
    """An issuer of this test's own."""
    made = Issuer()
    with scripted(lambda to, n: to.whole(b"?", 500) if made.broken else to.whole(made.body)) as server:
        made.server = server
        yield made


def _asked(issuer: Issuer) -> int:
    assert issuer.server is not None
    return len(issuer.server.asked)


def test_the_keys_are_fetched_once_and_again_when_old(own: Issuer, clock: Clock) -> None:
    """A thousand tokens, one request; after ten minutes another one, so that a key taken back is refused."""
    keys = KeySet(own.url, now=clock)
    for _ in range(1000):
        assert keys.find("ec") is not None
    assert _asked(own) == 1
    own.published = own.published[:1]
    clock.now_s += FRESH_S + 1
    assert keys.find("ec") is None
    assert _asked(own) == 2


def test_made_up_key_ids_are_no_traffic(own: Issuer, clock: Clock) -> None:
    """An unknown id is worth one look now and then, however many come."""
    keys = KeySet(own.url, now=clock)
    for number in range(1000):
        assert keys.find(f"made-up-{number}") is None
    assert _asked(own) == 1
    clock.now_s += AGAIN_S + 1
    for number in range(1000):
        assert keys.find(f"made-up-{number}") is None
    assert _asked(own) == 2


def test_a_new_key_is_found_soon(own: Issuer, clock: Clock) -> None:
    """The issuer rotates: the first token of the new key fetches it."""
    keys = KeySet(own.url, now=clock)
    assert keys.find("ec") is not None
    own.published = [{**own.published[1], "kid": "new"}]
    clock.now_s += AGAIN_S + 1
    assert keys.find("new") is not None


def test_an_issuer_that_is_away_locks_nobody_out(own: Issuer, clock: Clock) -> None:
    """Keys that are known stay good; without any, it is we who cannot answer, not the token that is wrong."""
    keys = KeySet(own.url, now=clock)
    assert keys.find("ec") is not None
    own.broken = True
    clock.now_s += FRESH_S + 1
    assert keys.find("ec") is not None
    with pytest.raises(StorageUnavailable):
        KeySet(own.url, now=clock).find("ec")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys": 5}',
        b'{"keys": [5, {"kid": 5}, {"kty": "oct", "k": "c2VjcmV0", "kid": "ec"}]}',
        b'{"keys": [{"kty": "RSA", "kid": "ec"}]}',
        b" " * (MOST_BYTES + 1),
        b"\xff\xfe",
    ],
)
def test_an_answer_that_is_no_key_set_gives_no_key(body: bytes, clock: Clock) -> None:
    """Nothing of it is used, and nothing breaks; a secret that was published by mistake is no key."""
    with scripted(lambda to, n: to.whole(body)) as server:
        keys = KeySet(f"http://{server.host}", now=clock)
        try:
            assert keys.find("ec") is None
        except StorageUnavailable:
            assert b'"oct"' not in body


def test_a_redirect_of_the_key_set_is_not_followed(own: Issuer, clock: Clock) -> None:
    """Whoever can make the issuer redirect must not choose our keys."""
    sent_away = scripted(lambda to, n: to.begin(302, Location=own.url, Content_Length="0"))
    with sent_away as server, pytest.raises(StorageUnavailable):
        KeySet(f"http://{server.host}", now=clock).find("ec")
    assert _asked(own) == 0


def test_a_weak_secret_is_refused_at_the_start() -> None:
    """What can be guessed must not be configured."""
    with pytest.raises(SetupError):
        Tokens(Settings(supabase_url="https://x.example", supabase_jwt_secret=SecretStr("short")))


def test_without_supabase_no_token_is_taken(issuer: Issuer) -> None:
    """An installation that was given no issuer trusts none."""
    bare = Settings(supabase_url=None, supabase_jwt_secret=None, supabase_jwks_url=None)
    with pytest.raises(Unauthorized, match="not taken"):
        Tokens(bare).user_of(issuer.token())
