"""What analysis remembers between jobs: enrolled voices, glossaries, and what people corrected."""

from typing import Any

from pgvector.sqlalchemy import VECTOR
from sqlalchemy import (
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from shared.store.tables import JSONB, metadata


def _ref(name: str, target: str, *, optional: bool = False) -> Column[Any]:
    return Column(name, Uuid(as_uuid=False), ForeignKey(target, ondelete="CASCADE"), nullable=optional)


def _now(name: str) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


voices = Table(
    "voices",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True, server_default=func.gen_random_uuid()),
    _ref("owner_id", "owners.id"),
    Column("label", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("origin", Text, nullable=False),  # sample: sent to be enrolled; speaker: taken from a job; remembered
    # Any length: vectors of another model have another. Only those of one model are ever compared.
    Column("embedding", VECTOR),
    Column("telephone", VECTOR),  # the same voice in a telephone's band: the two are never compared
    Column("model", Text),
    Column("speech_s", Double),
    Column("error", JSONB),
    Column("sample_key", Text),  # the recording that waits to be listened to
    Column("drop_sample", Text),  # the upload to delete afterwards: one that was sent for this alone
    _ref("job_id", "jobs.id", optional=True),  # of a remembered voice: it goes with the job that it is from
    Column("speaker", Text),
    Column("attempt", Integer, nullable=False, server_default=text("0")),
    Column("ring_at", DateTime(timezone=True)),  # when the steward is to ring it: the row is its own outbox
    _now("created_at"),
    CheckConstraint(text("status IN ('pending', 'ready', 'refused')"), name="status"),
    CheckConstraint(text("role IN ('coach', 'client', 'unknown')"), name="role"),
    Index(None, "owner_id"),
    Index("voices_remembered_idx", "job_id", "speaker", unique=True),
    Index("voices_due_idx", "ring_at", postgresql_where=text("status = 'pending'")),
)

glossaries = Table(
    "glossaries",
    metadata,
    Column("owner_id", Uuid(as_uuid=False), ForeignKey("owners.id", ondelete="CASCADE"), primary_key=True),
    Column("terms", JSONB, nullable=False),
    _now("updated_at"),
)

corrections = Table(
    "corrections",
    metadata,
    _ref("job_id", "jobs.id"),
    Column("number", Integer, nullable=False),
    Column("owner_id", Uuid(as_uuid=False), nullable=False),
    Column("asked", JSONB, nullable=False),  # as it was asked for, for people
    Column("change", JSONB, nullable=False),  # what it means, swaps resolved
    Column("diarization", Text),  # cache key of the turns whose speakers are meant
    _now("made_at"),
    PrimaryKeyConstraint("job_id", "number"),
)
