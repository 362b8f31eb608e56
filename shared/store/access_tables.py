"""The audit log's table. Its rows are written once: a trigger refuses every change and every deletion."""

from sqlalchemy import BigInteger, Column, DateTime, Identity, Index, Integer, Table, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB

from shared.store.tables import metadata

# No foreign key to owners: what was done outlives those who did it, and their deletion is an entry itself.
audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    Column("owner_id", Uuid(as_uuid=False)),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object_id", Text),
    Column("outcome", Text, nullable=False),
    Column("status", Integer),
    Column("request_id", Text),
    Column("address", Text),
    Column("details", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Index("audit_log_owner_idx", "owner_id", "id"),
)
