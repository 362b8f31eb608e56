"""Who calls and what they may: scopes, principals, keys, and the entries of the audit log."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from shared.domain.errors import InvalidInput
from shared.domain.ids import OwnerId


class Scope(StrEnum):
    """What a key may be used for. A request needs exactly one of them."""

    JOBS_READ = "jobs:read"
    JOBS_WRITE = "jobs:write"
    UPLOADS_WRITE = "uploads:write"
    OWNER_ADMIN = "owner:admin"  # the owner's keys, policies, webhooks, audit log
    OPERATOR = "operator"  # what reaches over owners; given by the command line alone


OWNER_SCOPES = frozenset(Scope) - {Scope.OPERATOR}  # all that an owner can give to a key of theirs


def read_scopes(names: Iterable[str]) -> frozenset[Scope]:
    """Raises InvalidInput on a word that is no scope."""
    try:
        return frozenset(Scope(name) for name in names)
    except ValueError as error:
        raise InvalidInput(f"{error}; scopes are {', '.join(Scope)}") from None


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a request comes from: a key of an owner's, or a Supabase user, who is an owner themselves."""

    owner_id: OwnerId
    scopes: frozenset[Scope]
    key_id: str | None = None
    user_id: str | None = None

    @property
    def actor(self) -> str:
        """As the audit log names them."""
        return f"key:{self.key_id}" if self.key_id else f"user:{self.user_id}"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as its owner sees it: everything but the secret."""

    id: str
    owner_id: OwnerId
    label: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    rotated_at: datetime | None
    previous_until: datetime | None  # how long the secret before the last rotation is still taken


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key with its secret: the one moment in which it can be read."""

    key: ApiKey
    secret: str


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One line of the audit log: who did what to which thing, from where, and how it ended."""

    actor: str  # key:<id>, user:<id>, operator or system
    action: str  # the API's operation id, or the command's name
    outcome: str  # ok, refused or failed
    owner_id: OwnerId | None = None  # whose log it is part of; None: the operator's alone
    object_id: str | None = None
    request_id: str | None = None
    address: str | None = None  # where the request came from, as the server saw it
    status: int | None = None  # of the HTTP answer
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An entry as it was written."""

    id: int
    at: datetime
    entry: AuditEntry


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Newest first; `next_cursor` is None on the last page."""

    rows: list[AuditRow]
    next_cursor: int | None
