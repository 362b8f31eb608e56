"""The scheduler's own tables: queues that are paused, and batches that were asked for."""

from sqlalchemy import Column, DateTime, ForeignKey, Table, Text, UniqueConstraint, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from shared.store.tables import metadata

# A row is a queue that nobody may take from; a queue that is open has none.
queues = Table(
    "queues",
    metadata,
    Column("stage", Text, primary_key=True),
    Column("paused_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("paused_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True, server_default=func.gen_random_uuid()),
    Column("owner_id", Uuid(as_uuid=False), ForeignKey("owners.id", ondelete="CASCADE"), nullable=False),
    Column("idempotency_key", Text),
    Column("body_hash", Text, nullable=False),
    Column("items", JSONB, nullable=False),  # of each item the job's id, or why there is none
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("owner_id", "idempotency_key"),
)
