"""Who calls: an API key stands for its owner, and everything else here asks for that owner's rows alone."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.domain.errors import Unauthorized
from shared.domain.ids import OwnerId
from shared.store.ledger import Ledger

KEY_PREFIX = "vi_"
LONGEST_KEY = 200  # a key has some 50 characters; more is not worth a look at the database

_bearer = HTTPBearer(auto_error=False, scheme_name="ApiKey", description="`Authorization: Bearer vi_…`")


def authenticate(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> OwnerId:
    if credentials is None:
        raise Unauthorized("Send your API key as: Authorization: Bearer vi_…")
    secret = credentials.credentials
    if not secret.startswith(KEY_PREFIX) or len(secret) > LONGEST_KEY:
        raise Unauthorized("That is not an API key; keys begin with vi_")
    ledger: Ledger = request.app.state.toolbox.ledger
    return ledger.owner_of_key(secret)
