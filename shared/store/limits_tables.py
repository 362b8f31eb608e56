"""The tables of limits and money: overrides of an owner, use by day, and the book of provider calls."""

from sqlalchemy import BigInteger, Column, Date, Double, Index, Integer, PrimaryKeyConstraint, Table, Text, Uuid, text

from shared.store.tables import _id, _ref, _time, metadata

_ZERO = text("0")

# What is not null here holds for this owner instead of the settings' default.
owner_limits = Table(
    "owner_limits",
    metadata,
    _ref("owner_id", "owners.id", primary_key=True),
    Column("open_jobs", Integer),
    Column("waiting_jobs", Integer),
    Column("audio_minutes_day", Double),
    Column("audio_minutes_month", Double),
    Column("upload_bytes_day", BigInteger),
    Column("job_budget_usd", Double),
    Column("owner_day_budget_usd", Double),
    Column("owner_month_budget_usd", Double),
    _time("updated_at", now=True),
)

# Counted up, never down: deleting a job gives no minutes back. Days are UTC.
owner_days = Table(
    "owner_days",
    metadata,
    _ref("owner_id", "owners.id"),
    Column("day", Date, nullable=False),
    Column("audio_s", Double, nullable=False, server_default=_ZERO),
    Column("upload_bytes", BigInteger, nullable=False, server_default=_ZERO),
    PrimaryKeyConstraint("owner_id", "day"),
)

# Which jobs' recordings have been counted, so that a second attempt counts nothing. Outlives the job.
counted_audio = Table(
    "counted_audio",
    metadata,
    Column("job_id", Uuid(as_uuid=False), primary_key=True),
    _ref("owner_id", "owners.id"),
    Column("audio_s", Double, nullable=False),
    _time("created_at", now=True),
    Index(None, "owner_id"),
)

# One row a call, written before it with the estimate. Unsettled: it may have been billed, so it counts. No reference to
# the job: what was spent stays in the book when the job is deleted.
provider_calls = Table(
    "provider_calls",
    metadata,
    _id(),
    _ref("owner_id", "owners.id"),
    Column("job_id", Uuid(as_uuid=False), nullable=False),
    Column("run_id", Uuid(as_uuid=False), nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("tokens_in", BigInteger, nullable=False),
    Column("tokens_out", BigInteger, nullable=False),
    Column("audio_s", Double, nullable=False),
    Column("characters", BigInteger, nullable=False),
    Column("micro_usd", BigInteger, nullable=False),
    Column("outcome", Text),  # null: not settled
    _time("created_at", now=True),
    _time("settled_at"),
    Index(None, "job_id"),
    Index(None, "owner_id", "created_at"),
)
