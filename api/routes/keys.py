"""API keys of an owner: made, listed, rotated and revoked by whoever may administer them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Request

from api.access_schemas import EXAMPLE_KEY, KeyIn, KeyListOut, KeyOut, NewKeyOut, RotateIn
from api.audit import entry_of, was_recorded
from api.deps import Authenticated, Caller, Tools
from api.openapi import problems
from shared.domain.access import Principal, Scope, read_scopes
from shared.domain.errors import Forbidden

router = APIRouter(prefix="/v1/keys", tags=["keys"])

TheKey = Annotated[UUID, Path(description="The key's id, which is not its secret.", examples=[EXAMPLE_KEY])]


@router.get("", operation_id="listKeys", summary="Your API keys", responses=problems())
def list_keys(caller: Caller, tools: Tools) -> KeyListOut:
    """Newest first, revoked and expired ones too. Secrets are not among what can be read."""
    return KeyListOut(keys=[KeyOut.from_domain(key) for key in tools.ledger.list_keys(caller)])


@router.post("", status_code=201, operation_id="createKey", summary="Make an API key", responses=problems())
def create_key(wanted: KeyIn, principal: Authenticated, tools: Tools, request: Request) -> NewKeyOut:
    """The secret is in this answer and cannot be read again. No key can have more rights than the one that makes it."""
    scopes = read_scopes(wanted.scopes)
    _refuse_more(principal, scopes)
    expires_at = datetime.now(UTC) + timedelta(days=wanted.expires_in_days) if wanted.expires_in_days else None
    made = tools.ledger.create_key(
        principal.owner_id, wanted.label, scopes=scopes, expires_at=expires_at, entry=entry_of(request)
    )
    was_recorded(request)
    return NewKeyOut.of(made)


@router.post(
    "/{key_id}/rotate", operation_id="rotateKey", summary="Give a key a new secret", responses=problems(404, 409)
)
def rotate_key(
    key_id: TheKey,
    principal: Authenticated,
    tools: Tools,
    request: Request,
    wanted: Annotated[RotateIn | None, Body()] = None,
) -> NewKeyOut:
    """The old secret is still taken for `grace_s`, so that the new one can be brought everywhere. Shown once."""
    _refuse_stronger(principal, tools, str(key_id))
    grace = timedelta(seconds=(wanted or RotateIn()).grace_s)
    made = tools.ledger.rotate_key(principal.owner_id, str(key_id), grace=grace, entry=entry_of(request))
    was_recorded(request)
    return NewKeyOut.of(made)


@router.delete("/{key_id}", operation_id="revokeKey", summary="Revoke a key", responses=problems(404))
def revoke_key(key_id: TheKey, principal: Authenticated, tools: Tools, request: Request) -> KeyOut:
    """At once and for good. A key may revoke itself."""
    revoked = tools.ledger.revoke_key(principal.owner_id, str(key_id), entry=entry_of(request))
    was_recorded(request)
    return KeyOut.from_domain(revoked)


def _refuse_more(principal: Principal, scopes: frozenset[Scope]) -> None:
    if missing := scopes - principal.scopes:
        raise Forbidden(f"You cannot give what your own key does not have: {', '.join(sorted(missing))}")


def _refuse_stronger(principal: Principal, tools: Tools, key_id: str) -> None:
    """A new secret of a stronger key would be that key."""
    for key in tools.ledger.list_keys(principal.owner_id):
        if key.id == key_id:
            _refuse_more(principal, key.scopes)
