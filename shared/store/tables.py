"""The tables. The single owner of the schema: Alembic's migrations are compared with this in a test."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects import postgresql

from shared.domain.access import OWNER_SCOPES, Scope
from shared.domain.job import JobStatus, RunStatus

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def _id() -> Column[str]:
    return Column("id", Uuid(as_uuid=False), primary_key=True, server_default=func.gen_random_uuid())


def _ref(name: str, target: str, *, primary_key: bool = False) -> Column[str]:
    key = ForeignKey(target, ondelete="CASCADE")
    return Column(name, Uuid(as_uuid=False), key, nullable=False, primary_key=primary_key)


def _time(name: str, *, now: bool = False) -> Column[object]:
    moment = DateTime(timezone=True)
    return Column(name, moment, nullable=not now, server_default=func.now() if now else None)


def _one_of(words: type[JobStatus] | type[RunStatus]) -> CheckConstraint:
    listed = ", ".join(f"'{word.value}'" for word in words)
    return CheckConstraint(text(f"status IN ({listed})"), name="status")


JSONB = postgresql.JSONB(none_as_null=True)
_EMPTY_LIST = text("'[]'::jsonb")
_OWNER_SCOPES = ",".join(scope for scope in Scope if scope in OWNER_SCOPES)  # of a key that was not given less

owners = Table(
    "owners",
    metadata,
    _id(),
    Column("name", Text, nullable=False),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),  # what an owner has chosen
    _time("created_at", now=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _ref("owner_id", "owners.id"),
    Column("label", Text, nullable=False),
    Column("secret_sha256", Text, nullable=False, unique=True),
    Column("previous_sha256", Text, unique=True),  # the secret before the last rotation
    _time("previous_until"),
    Column("scopes", postgresql.ARRAY(Text), nullable=False, server_default=text(f"'{{{_OWNER_SCOPES}}}'")),
    _time("created_at", now=True),
    _time("expires_at"),
    _time("rotated_at"),
    _time("revoked_at"),
    _time("last_used_at"),
    Index(None, "owner_id"),
)

uploads = Table(
    "uploads",
    metadata,
    _id(),
    _ref("owner_id", "owners.id"),
    Column("key", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("multipart_id", Text),
    Column("completed", Boolean, nullable=False, server_default=text("false")),
    _time("created_at", now=True),
    Index(None, "owner_id"),
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    _ref("owner_id", "owners.id"),
    Column("session_id", Text, nullable=False),
    Column("status", Text, nullable=False, server_default=JobStatus.QUEUED.value),
    Column("source", JSONB, nullable=False),
    Column("options", JSONB, nullable=False),
    Column("webhook", Text),
    Column("idempotency_key", Text),
    Column("body_hash", Text),
    Column("stage", Text),
    Column("percent", Double, nullable=False, server_default=text("0")),
    Column("eta_s", Double),
    Column("error", JSONB),
    Column("warnings", JSONB, nullable=False, server_default=_EMPTY_LIST),
    Column("audio_s", Double),  # known when the download is done
    Column("shard_s", JSONB),  # seconds of each shard, known when preprocess is done
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),  # Priority.rank: 0 goes first
    Column("deduped_from", Uuid(as_uuid=False), ForeignKey("jobs.id", ondelete="SET NULL")),  # whose result it took
    Column("traceparent", Text),  # of the request that made it: all that is done for it belongs to that trace
    Column("progress_version", Integer, nullable=False, server_default=text("0")),
    _time("progress_at"),
    _time("created_at", now=True),
    _time("updated_at", now=True),
    _time("started_at"),  # the first claim of the first or of a later try
    _time("finished_at"),
    _time("held_at"),  # a legal hold: nothing of the job is deleted until it is lifted
    Column("hold_reason", Text),
    _time("source_deleted_at"),  # the recording as it came
    _time("derived_deleted_at"),  # what was made of it to listen to
    _time("progress_pruned_at"),  # all progress rows but the last
    UniqueConstraint("owner_id", "idempotency_key"),
    _one_of(JobStatus),
    Index("jobs_newest_idx", "owner_id", text("created_at DESC"), text("id DESC")),
    Index("jobs_source_deleted_idx", "finished_at", postgresql_where=text("source_deleted_at IS NULL")),
    Index("jobs_derived_deleted_idx", "finished_at", postgresql_where=text("derived_deleted_at IS NULL")),
    Index("jobs_progress_pruned_idx", "finished_at", postgresql_where=text("progress_pruned_at IS NULL")),
    # Who uses an upload. By hash: a key may be longer than a B-tree takes.
    Index(
        "jobs_source_idx",
        text("(source ->> 'value')"),
        postgresql_using="hash",
        postgresql_where=text("(source ->> 'kind') <> 'url'"),
    ),
    Index(
        "jobs_asked_for_idx",
        text("(options ->> 'on_behalf_of')"),
        postgresql_where=text("(options ->> 'on_behalf_of') IS NOT NULL"),
    ),
    Index("jobs_open_idx", "id", postgresql_where=text("status IN ('queued', 'running')")),
    Index(None, "deduped_from", postgresql_where=text("deduped_from IS NOT NULL")),
    Index("jobs_owner_open_idx", "owner_id", "status", postgresql_where=text("status IN ('queued', 'running')")),
)

_WAITING = text("status = 'queued' AND ready")

stage_runs = Table(
    "stage_runs",
    metadata,
    _id(),
    _ref("job_id", "jobs.id"),
    Column("stage", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("status", Text, nullable=False, server_default=RunStatus.QUEUED.value),
    Column("attempt", Integer, nullable=False, server_default=text("0")),  # counted at the claim, before the work
    Column("token", Uuid(as_uuid=False)),  # of the one worker that may finish it
    Column("message_id", Text),  # of the message it was claimed by, to find it when that worker dies
    _time("lease_until"),
    _time("not_before", now=True),
    Column("ready", Boolean, nullable=False, server_default=text("true")),  # False: waits for `not_before`
    _time("ring_at", now=True),  # from then on the steward rings for it: the row is its own outbox
    Column("owner_id", Uuid(as_uuid=False), nullable=False),  # the job's, as is the priority: a claim looks at no job
    Column("priority", SmallInteger, nullable=False, server_default=text("0")),
    Column("turn", BigInteger, nullable=False, server_default=text("0")),  # of the owner (shared/store/turns.py)
    Column("job_turn", BigInteger, nullable=False, server_default=text("0")),  # of the job among its owner's
    Column("traceparent", Text),  # of what queued it, then of its latest attempt: the next one links to that
    Column("cache_key", Text),
    Column("error", JSONB),
    Column("done_s", Double, nullable=False, server_default=text("0")),  # seconds of audio done in this attempt
    Column("audio_s", Double),  # seconds of audio of the whole run
    Column("work_s", Double),  # what it took; null when it came from the cache
    _time("created_at", now=True),
    _time("started_at"),
    _time("finished_at"),
    UniqueConstraint("job_id", "stage", "shard"),
    _one_of(RunStatus),
    # A claim asks whose turn it is, and which of their runs; a new run, where their line ends.
    Index("stage_runs_turn_idx", "stage", "priority", "turn", "created_at", postgresql_where=_WAITING),
    Index("stage_runs_owner_turn_idx", "stage", "priority", "owner_id", "job_turn", "turn", postgresql_where=_WAITING),
    Index("stage_runs_owner_last_idx", "stage", "priority", "owner_id", "turn", postgresql_where=_WAITING),
    # These stay as small as the work at hand.
    Index("stage_runs_later_idx", "not_before", postgresql_where=text("status = 'queued' AND NOT ready")),
    Index("stage_runs_lease_idx", "lease_until", postgresql_where=text("status = 'running'")),
    Index("stage_runs_buried_idx", "finished_at", postgresql_where=text("status IN ('failed', 'dead')")),
    Index("stage_runs_message_idx", "message_id", postgresql_where=text("status = 'running'")),
    # What each stage has cost lately.
    Index("stage_runs_cost_idx", "stage", "finished_at", postgresql_where=text("work_s IS NOT NULL")),
)

artefacts = Table(
    "artefacts",
    metadata,
    _ref("job_id", "jobs.id"),
    Column("stage", Text, nullable=False),
    Column("shard", Integer, nullable=False),
    Column("owner_id", Uuid(as_uuid=False), nullable=False),
    Column("cache_key", Text, nullable=False),
    Column("document", JSONB, nullable=False),
    Column("files", JSONB, nullable=False, server_default=_EMPTY_LIST),
    Column("warnings", JSONB, nullable=False, server_default=_EMPTY_LIST),
    _time("created_at", now=True),
    _time("files_deleted_at"),
    PrimaryKeyConstraint("job_id", "stage", "shard"),
    Index("artefacts_cache_idx", "owner_id", "cache_key"),
)

results = Table(
    "results",
    metadata,
    _ref("job_id", "jobs.id", primary_key=True),
    Column("owner_id", Uuid(as_uuid=False), nullable=False),
    Column("document", JSONB, nullable=False),
    _time("created_at", now=True),
)

job_progress = Table(
    "job_progress",
    metadata,
    _ref("job_id", "jobs.id"),
    Column("version", Integer, nullable=False),
    Column("session_id", Text, nullable=False),
    Column("owner_id", Uuid(as_uuid=False), nullable=False),
    Column("status", Text, nullable=False),
    Column("stage", Text),
    Column("percent", Double, nullable=False),
    Column("eta_s", Double),
    Column("message_key", Text, nullable=False),
    Column("message", Text, nullable=False),
    _time("updated_at", now=True),
    PrimaryKeyConstraint("job_id", "version"),
    Index(None, "owner_id"),
)
