"""The tables of what is kept, what is deleted and who is told: chores, retention, deletions, webhooks."""

from sqlalchemy import Boolean, Column, Double, ForeignKey, Index, Integer, Table, Text, Uuid, text

from shared.store.tables import JSONB, _id, _ref, _time, metadata

_NOTHING = text("'{}'::jsonb")
_NO_ITEMS = text("'[]'::jsonb")
_ZERO = text("0")

# A steward's periodic duties. The row is the claim: one steward does a chore at a time, and everybody sees the last go.
chores = Table(
    "chores",
    metadata,
    Column("name", Text, primary_key=True),
    _time("due_at", now=True),
    Column("holder", Uuid(as_uuid=False)),
    _time("held_until"),
    _time("ran_at"),
    Column("took_s", Double),
    Column("failures", Integer, nullable=False, server_default=_ZERO),  # in a row
    Column("error", Text),
    Column("state", JSONB, nullable=False, server_default=_NOTHING),  # where a chore in slices goes on
)

# No row: the defaults. Null days: kept until somebody deletes it.
retention_policies = Table(
    "retention_policies",
    metadata,
    _ref("owner_id", "owners.id", primary_key=True),
    Column("source_days", Integer),
    Column("derived_days", Integer),
    Column("results_days", Integer),
    _time("held_at"),
    Column("hold_reason", Text),
    _time("updated_at", now=True),
)

# One deletion of everything of an owner, or of one person whom the owner's service asked for. Its own report.
# No reference to owners: it outlives the account.
erasures = Table(
    "erasures",
    metadata,
    _id(),
    Column("owner_id", Uuid(as_uuid=False), nullable=False),
    Column("on_behalf_of", Text),
    Column("account", Boolean, nullable=False),  # the owner and their keys go too
    Column("rows", JSONB, nullable=False, server_default=_NOTHING),
    Column("objects", JSONB, nullable=False, server_default=_NOTHING),
    Column("error", Text),
    _time("requested_at", now=True),
    _time("finished_at"),
    Index(None, "owner_id", "requested_at"),
    Index("erasures_open_idx", "requested_at", postgresql_where=text("finished_at IS NULL")),
)

# Objects whose deletion is decided: written with the change that decides it, gone when the store has done it.
object_deletions = Table(
    "object_deletions",
    metadata,
    _id(),
    Column("prefix", Text, nullable=False),
    Column("job_id", Uuid(as_uuid=False)),
    Column("erasure_id", Uuid(as_uuid=False), ForeignKey("erasures.id", ondelete="CASCADE")),
    Column("attempts", Integer, nullable=False, server_default=_ZERO),
    _time("due_at", now=True),
    _time("created_at", now=True),
    Index(None, "due_at"),
    Index(None, "job_id"),
    Index(None, "erasure_id"),
)

# Who is told. A row without an address is the owner's signing secret for addresses that jobs name themselves.
webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    _id(),
    _ref("owner_id", "owners.id"),
    Column("url", Text),
    Column("description", Text, nullable=False, server_default=""),
    Column("events", JSONB, nullable=False, server_default=_NO_ITEMS),  # empty: every event
    Column("secret", Text, nullable=False),  # a signature needs the secret itself
    Column("previous_secret", Text),
    _time("previous_until"),
    _time("failing_since"),
    _time("paused_at"),
    Column("pause_reason", Text),
    _time("created_at", now=True),
    Index(None, "owner_id"),
    Index("webhook_endpoints_jobs_idx", "owner_id", unique=True, postgresql_where=text("url IS NULL")),
)

# The outbox and its log. `body` is text: a signature is over bytes.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    _id(),
    _ref("owner_id", "owners.id"),
    _ref("endpoint_id", "webhook_endpoints.id"),
    Column("job_id", Uuid(as_uuid=False), ForeignKey("jobs.id", ondelete="CASCADE")),
    Column("event", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("attempt", Integer, nullable=False, server_default=_ZERO),  # counted at the claim
    Column("token", Uuid(as_uuid=False)),  # of the sender that has it now
    _time("due_at", now=True),
    Column("tries", JSONB, nullable=False, server_default=_NO_ITEMS),
    _time("created_at", now=True),
    _time("finished_at"),
    Index("webhook_deliveries_due_idx", "endpoint_id", "due_at", postgresql_where=text("status = 'pending'")),
    Index("webhook_deliveries_sent_idx", "endpoint_id", postgresql_where=text("token IS NOT NULL")),
    Index("webhook_deliveries_newest_idx", "owner_id", text("created_at DESC"), text("id DESC")),
    Index("webhook_deliveries_endpoint_idx", "endpoint_id", "status"),
    Index(None, "job_id"),
    Index("webhook_deliveries_ended_idx", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
)
