"""Who is behind a channel: an API key or a Supabase user's token, as it stands in the address or in the join."""

import time
from dataclasses import dataclass, field

from shared.domain.access import Scope
from shared.domain.errors import Forbidden, Unauthorized
from shared.domain.ids import OwnerId
from shared.guard.tokens import LONGEST_TOKEN
from shared.store.feed import FeedRow
from shared.store.keys import PREFIX
from shared.toolbox import Toolbox

LONGEST_KEY = 200  # as in api/auth.py
_DOTS = 2  # header, claims, signature


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody known. `until`: when their token ends, in seconds since 1970; a key is asked about again instead."""

    owner_id: OwnerId
    secret: str = field(repr=False)
    key_id: str | None = None
    user_id: str | None = None
    until: float | None = None

    def may_see(self, row: FeedRow) -> bool:
        return row.owner_id == self.owner_id or (self.user_id is not None and row.asked_for == self.user_id)

    @property
    def expired(self) -> bool:
        return self.until is not None and self.until <= time.time()


def identify(tools: Toolbox, secret: str) -> Caller:
    """Asks the database or checks a signature: for a thread. Raises Unauthorized, Forbidden or StorageUnavailable."""
    if secret.startswith(PREFIX) and len(secret) <= LONGEST_KEY and secret.isascii():
        principal = tools.ledger.principal_of_key(secret)
        if Scope.JOBS_READ not in principal.scopes:
            raise Forbidden(f"This needs the scope {Scope.JOBS_READ}, which your key does not have")
        return Caller(principal.owner_id, secret, key_id=principal.key_id)
    if is_token(secret):
        user_id, until = tools.tokens.user_until(secret)
        return Caller(OwnerId(user_id), secret, user_id=user_id, until=until)
    raise Unauthorized("That is neither an API key, which begins with vi_, nor a user's token")


def is_token(secret: str) -> bool:
    return secret.count(".") == _DOTS and len(secret) <= LONGEST_TOKEN
