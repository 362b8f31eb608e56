"""Tokens of Supabase users: whose they are, or Unauthorized.

The algorithm is never the token's choice: HS256 goes with the shared secret, RS256 and ES256 with a public key of that
very kind, and nothing else is read. So a public key cannot be passed off as a secret, and `none` is no algorithm.
"""

from typing import Any
from uuid import UUID

import jwt
import structlog

from shared.domain.errors import SetupError, Unauthorized
from shared.guard.jwks import KeySet
from shared.settings import Settings

LONGEST_TOKEN = 8 * 1024  # Supabase's have about a kilobyte; claims of one's own may be added
SHORTEST_SECRET = 32  # bytes: what HS256 asks for, and what Supabase draws at least
_KEY_TYPES = {"RS256": "RSA", "ES256": "EC"}
_NEEDED = ["exp", "iat", "sub", "aud", "iss", "role"]
_USER = "authenticated"  # the role of who has signed in; `anon` and `service_role` are no users

log = structlog.get_logger(__name__)


class Tokens:
    """Checks signature, issuer, audience, times and role. Knows nobody when Supabase is not configured."""

    def __init__(self, settings: Settings, keys: KeySet | None = None) -> None:
        base = (settings.supabase_url or "").rstrip("/")
        self._issuer = settings.jwt_issuer or (f"{base}/auth/v1" if base else "")
        self._audience, self._leeway_s = settings.jwt_audience, settings.jwt_leeway_s
        self._secret = _checked_secret(settings)
        url = settings.supabase_jwks_url or (f"{base}/auth/v1/.well-known/jwks.json" if base else None)
        self._keys = keys or (KeySet(url) if url else None)
        if (self._secret or self._keys) and not self._issuer:
            raise SetupError("Tokens cannot be checked without their issuer: set VIBEINSIGHT_SUPABASE_URL")

    @property
    def taken(self) -> bool:
        """Whether there are users of Supabase here at all."""
        return bool(self._secret or self._keys)

    def user_of(self, token: str) -> str:
        """The user's id."""
        return self.user_until(token)[0]

    def user_until(self, token: str) -> tuple[str, float]:
        """The user's id, and the second since 1970 from which the token is not taken any more. What exactly is wrong
        goes into our log: who forges learns nothing from the answer.
        """
        if not self.taken:
            raise Unauthorized("Tokens are not taken here; use an API key, which begins with vi_")
        try:
            claims = self._claims(token)
            return _user(claims), float(claims["exp"]) + self._leeway_s
        except jwt.ExpiredSignatureError:
            raise Unauthorized("This sign-in has expired; sign in again") from None
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            log.info("token_refused", reason=type(error).__name__)
            raise Unauthorized("This token is not valid; sign in again") from None

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > LONGEST_TOKEN:
            raise ValueError("too long for a token")
        algorithm, key = self._key(jwt.get_unverified_header(token))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            issuer=self._issuer,
            audience=self._audience,
            leeway=self._leeway_s,
            options={"require": _NEEDED, "verify_iat": True},
        )
        return claims

    def _key(self, header: dict[str, Any]) -> tuple[str, Any]:
        algorithm = header.get("alg")
        if algorithm == "HS256" and self._secret:
            return algorithm, self._secret
        if algorithm in _KEY_TYPES and self._keys and isinstance(header.get("kid"), str):
            key = self._keys.find(header["kid"])
            if key is not None and key.key_type == _KEY_TYPES[algorithm]:
                return algorithm, key.key
        raise ValueError("no key of ours for this algorithm")


def _user(claims: dict[str, Any]) -> str:
    if claims["role"] != _USER:
        raise ValueError("not the token of a user")
    if claims.get("is_anonymous"):
        raise ValueError("nobody has signed in")
    return str(UUID(claims["sub"]))


def _checked_secret(settings: Settings) -> str | None:
    if settings.supabase_jwt_secret is None:
        return None
    secret = settings.supabase_jwt_secret.get_secret_value()
    if len(secret.encode()) < SHORTEST_SECRET:
        raise SetupError(f"SUPABASE_JWT_SECRET has fewer than {SHORTEST_SECRET} bytes and could be guessed")
    return secret
