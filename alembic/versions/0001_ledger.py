"""The ledger: owners, keys, uploads, jobs, stage runs, artefacts, results and progress rows."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = ("owners", "api_keys", "uploads", "jobs", "stage_runs", "artefacts", "results", "job_progress")
# What a signed-in user of Supabase may read: their own, and what a service has asked for in their name.
ASKED_FOR_ME = "{options} ->> 'on_behalf_of' = (SELECT auth.uid())::text"
SHOWN = {
    "jobs": ASKED_FOR_ME.format(options="options"),
    "job_progress": "EXISTS (SELECT FROM jobs WHERE jobs.id = job_id AND "
    + ASKED_FOR_ME.format(options="jobs.options")
    + ")",
}
EMPTY_LIST = sa.text("'[]'::jsonb")
JSONB = postgresql.JSONB
OPEN = sa.text("status IN ('queued', 'running')")


def upgrade() -> None:
    create_owners()
    create_jobs()
    create_runs()
    create_documents()
    create_progress()
    op.execute(NOTIFY)
    for table in ("alembic_version", *TABLES):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for table, asked_for_me in SHOWN.items():
        op.execute(OWN_ROWS_POLICY.format(table=table, asked_for_me=asked_for_me))
    op.execute(PUBLISH)


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table)
    op.execute("DROP FUNCTION notify_job_progress()")


def identifier() -> sa.Column:
    return sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True, server_default=sa.func.gen_random_uuid())


def reference(name: str, target: str, *, primary_key: bool = False) -> sa.Column:
    key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.Uuid(as_uuid=False), key, nullable=False, primary_key=primary_key)


def moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True))


def now(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def create_owners() -> None:
    op.create_table("owners", identifier(), sa.Column("name", sa.Text, nullable=False), now("created_at"))
    op.create_table(
        "api_keys",
        identifier(),
        reference("owner_id", "owners.id"),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("secret_sha256", sa.Text, nullable=False, unique=True),
        now("created_at"),
    )
    op.create_index("api_keys_owner_id_idx", "api_keys", ["owner_id"])
    op.create_table(
        "uploads",
        identifier(),
        reference("owner_id", "owners.id"),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        sa.Column("multipart_id", sa.Text),
        sa.Column("completed", sa.Boolean, nullable=False, server_default=sa.text("false")),
        now("created_at"),
    )
    op.create_index("uploads_owner_id_idx", "uploads", ["owner_id"])


def create_jobs() -> None:
    op.create_table(
        "jobs",
        identifier(),
        reference("owner_id", "owners.id"),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="queued"),
        sa.Column("source", JSONB, nullable=False),
        sa.Column("options", JSONB, nullable=False),
        sa.Column("webhook", sa.Text),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("body_hash", sa.Text),
        sa.Column("stage", sa.Text),
        sa.Column("percent", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("eta_s", sa.Double),
        sa.Column("error", JSONB),
        sa.Column("warnings", JSONB, nullable=False, server_default=EMPTY_LIST),
        sa.Column("audio_s", sa.Double),
        sa.Column("shard_s", JSONB),
        sa.Column("progress_version", sa.Integer, nullable=False, server_default=sa.text("0")),
        moment("progress_at"),
        now("created_at"),
        now("updated_at"),
        moment("started_at"),
        moment("finished_at"),
        sa.UniqueConstraint("owner_id", "idempotency_key", name="jobs_owner_id_idempotency_key_key"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'completed', 'completed_with_warnings', 'failed', 'cancelled')",
            name="jobs_status_check",
        ),
    )
    op.create_index("jobs_newest_idx", "jobs", ["owner_id", sa.text("created_at DESC"), sa.text("id DESC")])
    op.create_index("jobs_open_idx", "jobs", ["id"], postgresql_where=OPEN)


def create_runs() -> None:
    op.create_table(
        "stage_runs",
        identifier(),
        reference("job_id", "jobs.id"),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False, server_default="queued"),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("token", sa.Uuid(as_uuid=False)),
        sa.Column("message_id", sa.Text),
        moment("lease_until"),
        now("not_before"),
        now("ring_at"),
        sa.Column("cache_key", sa.Text),
        sa.Column("error", JSONB),
        sa.Column("done_s", sa.Double, nullable=False, server_default=sa.text("0")),
        sa.Column("audio_s", sa.Double),
        sa.Column("work_s", sa.Double),
        now("created_at"),
        moment("started_at"),
        moment("finished_at"),
        sa.UniqueConstraint("job_id", "stage", "shard", name="stage_runs_job_id_stage_shard_key"),
        sa.CheckConstraint(
            "status IN ('queued', 'running', 'done', 'failed', 'dead', 'cancelled')", name="stage_runs_status_check"
        ),
    )
    for name, columns, rows in (
        ("due", ["ring_at"], "status = 'queued'"),
        ("lease", ["lease_until"], "status = 'running'"),
        ("message", ["message_id"], "status = 'running'"),
        ("cost", ["stage", "finished_at"], "work_s IS NOT NULL"),
    ):
        op.create_index(f"stage_runs_{name}_idx", "stage_runs", columns, postgresql_where=sa.text(rows))


def create_documents() -> None:
    op.create_table(
        "artefacts",
        reference("job_id", "jobs.id"),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("owner_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("cache_key", sa.Text, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("files", JSONB, nullable=False, server_default=EMPTY_LIST),
        sa.Column("warnings", JSONB, nullable=False, server_default=EMPTY_LIST),
        now("created_at"),
        sa.PrimaryKeyConstraint("job_id", "stage", "shard"),
    )
    op.create_index("artefacts_cache_idx", "artefacts", ["owner_id", "cache_key"])
    op.create_table(
        "results",
        reference("job_id", "jobs.id", primary_key=True),
        sa.Column("owner_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("document", JSONB, nullable=False),
        now("created_at"),
    )


def create_progress() -> None:
    op.create_table(
        "job_progress",
        reference("job_id", "jobs.id"),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("owner_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("stage", sa.Text),
        sa.Column("percent", sa.Double, nullable=False),
        sa.Column("eta_s", sa.Double),
        sa.Column("message_key", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        now("updated_at"),
        sa.PrimaryKeyConstraint("job_id", "version"),
    )
    op.create_index("job_progress_owner_id_idx", "job_progress", ["owner_id"])


# Who listens reads the row by its key: the payload of a notification is small on purpose.
NOTIFY = """
CREATE FUNCTION notify_job_progress() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    PERFORM pg_catalog.pg_notify('job_progress', new.job_id || ':' || new.version);
    RETURN NULL;
END $$;
CREATE TRIGGER job_progress_notify AFTER INSERT ON job_progress
    FOR EACH ROW EXECUTE FUNCTION notify_job_progress();
"""

# The service connects as the tables' owner, whom row level security does not bind. Everybody else sees nothing,
# except, where this database is Supabase's, a signed-in user what is theirs.
OWN_ROWS_POLICY = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
       AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        GRANT SELECT ON {table} TO authenticated;
        CREATE POLICY {table}_own_rows ON {table} FOR SELECT TO authenticated
            USING (owner_id = (SELECT auth.uid()) OR {asked_for_me});
    END IF;
END $$;
"""

PUBLISH = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_publication WHERE pubname = 'supabase_realtime') THEN
        CREATE PUBLICATION supabase_realtime;
    END IF;
    ALTER PUBLICATION supabase_realtime ADD TABLE job_progress;
END $$;
"""
