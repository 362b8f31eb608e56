"""Who calls: an API key or a Supabase user's token stands for an owner, and may do what its scopes say.

`identify` gives the principal, `authenticate` the owner alone; everything else here asks for that owner's rows.
"""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from api.scopes import scope_of
from shared.domain.access import OWNER_SCOPES, Principal
from shared.domain.errors import Forbidden, Unauthorized
from shared.domain.ids import OwnerId
from shared.guard.tokens import LONGEST_TOKEN
from shared.observe.logs import learnt
from shared.toolbox import Toolbox

KEY_PREFIX = "vi_"
LONGEST_KEY = 200  # a key has some 50 characters; more is not worth a look at the database
TOKEN_PARTS = 3  # header, claims, signature

_bearer = HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="`Authorization: Bearer vi_…`, or a Supabase user's token"
)


def identify(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
) -> Principal:
    """Raises Unauthorized, or Forbidden where the key is good but not for this."""
    if credentials is None:
        raise Unauthorized("Send your API key as: Authorization: Bearer vi_…")
    principal = _principal(request, credentials.credentials)
    request.state.principal = principal
    learnt(owner_id=principal.owner_id)
    needed = scope_of(request.method, getattr(request.scope.get("route"), "path", request.url.path))
    if needed not in principal.scopes:
        raise Forbidden(f"This needs the scope {needed}, which your key does not have; use or create another key")
    return principal


def authenticate(principal: Annotated[Principal, Depends(identify)]) -> OwnerId:
    return principal.owner_id


def _principal(request: Request, secret: str) -> Principal:
    tools: Toolbox = request.app.state.toolbox
    if secret.startswith(KEY_PREFIX) and len(secret) <= LONGEST_KEY:
        principal = tools.ledger.principal_of_key(secret)
        request.app.state.key_use.note(principal.key_id)
        return principal
    if secret.count(".") == TOKEN_PARTS - 1 and len(secret) <= LONGEST_TOKEN:
        return _user(tools, secret)
    raise Unauthorized("That is not an API key; keys begin with vi_")


def _user(tools: Toolbox, token: str) -> Principal:
    """The first request of a Supabase user makes them an owner."""
    user_id = tools.tokens.user_of(token)
    owner_id = OwnerId(user_id)
    tools.ledger.ensure_owner(owner_id, "Supabase user")
    return Principal(owner_id, OWNER_SCOPES, user_id=user_id)
