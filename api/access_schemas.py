"""The wire of keys and of the audit log."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from api.schemas import PlainText, Wire
from shared.domain.access import OWNER_SCOPES, ApiKey, AuditRow, NewKey, Scope

EXAMPLE_KEY = "7d0c2d0e-5a0b-4e43-9c52-9f6f7a1f2b11"
LONGEST_LIFE_DAYS = 3650
GRACE_S = 86_400
MOST_GRACE_S = 30 * 86_400


class KeyIn(Wire):
    """A key to be made."""

    label: Annotated[str, Field(min_length=1, max_length=100, description="What it is for."), PlainText]
    scopes: Annotated[
        tuple[Scope, ...], Field(min_length=1, max_length=len(Scope), description="What it may be used for.")
    ] = tuple(sorted(OWNER_SCOPES))
    expires_in_days: Annotated[
        int | None, Field(ge=1, le=LONGEST_LIFE_DAYS, description="Its life; without it, until it is revoked.")
    ] = None


class RotateIn(Wire):
    """How a rotation is done."""

    grace_s: Annotated[
        int, Field(ge=0, le=MOST_GRACE_S, description="How long the old secret is still taken, in seconds.")
    ] = GRACE_S


class KeyOut(Wire):
    """A key as it can be read: without its secret."""

    id: Annotated[str, Field(description="The key's id.")]
    label: Annotated[str, Field(description="What it is for.")]
    scopes: Annotated[list[Scope], Field(description="What it may be used for.")]
    created_at: Annotated[datetime, Field(description="When it was made.")]
    expires_at: Annotated[datetime | None, Field(description="When it ends by itself; null: never.")]
    revoked_at: Annotated[datetime | None, Field(description="When it was revoked.")]
    rotated_at: Annotated[datetime | None, Field(description="When it last got a new secret.")]
    previous_until: Annotated[datetime | None, Field(description="How long the secret before that is still taken.")]
    last_used_at: Annotated[datetime | None, Field(description="When it was last used, to the minute.")]

    @classmethod
    def from_domain(cls, key: ApiKey) -> Self:
        return cls(
            id=key.id,
            label=key.label,
            scopes=sorted(key.scopes),
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            rotated_at=key.rotated_at,
            previous_until=key.previous_until,
            last_used_at=key.last_used_at,
        )


class KeyListOut(Wire):
    """The owner's keys."""

    keys: Annotated[list[KeyOut], Field(description="Newest first.")]


class NewKeyOut(Wire):
    """A key with its secret, which is shown this once."""

    key: Annotated[KeyOut, Field(description="The key.")]
    secret: Annotated[str, Field(description="Send it as `Authorization: Bearer …`. It cannot be read again.")]

    @classmethod
    def of(cls, made: NewKey) -> Self:
        return cls(key=KeyOut.from_domain(made.key), secret=made.secret)


class AuditOut(Wire):
    """One entry of the audit log."""

    id: Annotated[int, Field(description="Grows with time.")]
    at: Annotated[datetime, Field(description="When.")]
    actor: Annotated[str, Field(description="Who: `key:<id>`, `user:<id>`, `operator` or `system`.")]
    action: Annotated[str, Field(description="What: the operation's id.")]
    object_id: Annotated[str | None, Field(description="To which thing.")]
    outcome: Annotated[str, Field(description="`ok`, `refused` or `failed`.")]
    status: Annotated[int | None, Field(description="The HTTP status of the answer, where one was known.")]
    request_id: Annotated[str | None, Field(description="As in the answer's X-Request-ID.")]
    address: Annotated[str | None, Field(description="Where the request came from.")]
    details: Annotated[dict[str, object], Field(description="What else is to be known.")]

    @classmethod
    def from_domain(cls, row: AuditRow) -> Self:
        entry = row.entry
        return cls(
            id=row.id,
            at=row.at,
            actor=entry.actor,
            action=entry.action,
            object_id=entry.object_id,
            outcome=entry.outcome,
            status=entry.status,
            request_id=entry.request_id,
            address=entry.address,
            details=entry.details,
        )


class AuditPageOut(Wire):
    """A page of the audit log."""

    entries: Annotated[list[AuditOut], Field(description="Newest first.")]
    next_before: Annotated[int | None, Field(description="`before` of the next page; null on the last.")]
