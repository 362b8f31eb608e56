"""What is kept and who is told: chores, retention, legal hold, deletions, webhooks and their deliveries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSONB = postgresql.JSONB
NOTHING, NO_ITEMS, ZERO = sa.text("'{}'::jsonb"), sa.text("'[]'::jsonb"), sa.text("0")
TABLES = (
    "chores",
    "retention_policies",
    "erasures",
    "object_deletions",
    "webhook_endpoints",
    "webhook_deliveries",
)
# What the jobs still have to give up; each index holds only those that have not yet.
JOB_TIMES = ("source_deleted_at", "derived_deleted_at", "progress_pruned_at")


def upgrade() -> None:
    create_chores()
    create_retention()
    create_deletions()
    create_webhooks()
    extend_jobs()
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index("jobs_source_idx", "jobs")
    for column in JOB_TIMES:
        op.drop_index(f"jobs_{column.removesuffix('_at')}_idx", "jobs")
    for column in (*JOB_TIMES, "held_at", "hold_reason"):
        op.drop_column("jobs", column)
    op.drop_column("artefacts", "files_deleted_at")
    for table in reversed(TABLES):
        op.drop_table(table)


def identifier() -> sa.Column:
    return sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True, server_default=sa.func.gen_random_uuid())


def reference(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column:
    key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.Uuid(as_uuid=False), key, nullable=nullable, primary_key=primary_key)


def moment(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True))


def now(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def create_chores() -> None:
    op.create_table(
        "chores",
        sa.Column("name", sa.Text, primary_key=True),
        now("due_at"),
        sa.Column("holder", sa.Uuid(as_uuid=False)),
        moment("held_until"),
        moment("ran_at"),
        sa.Column("took_s", sa.Double),
        sa.Column("failures", sa.Integer, nullable=False, server_default=ZERO),
        sa.Column("error", sa.Text),
        sa.Column("state", JSONB, nullable=False, server_default=NOTHING),
    )


def create_retention() -> None:
    op.create_table(
        "retention_policies",
        reference("owner_id", "owners.id", primary_key=True),
        sa.Column("source_days", sa.Integer),
        sa.Column("derived_days", sa.Integer),
        sa.Column("results_days", sa.Integer),
        moment("held_at"),
        sa.Column("hold_reason", sa.Text),
        now("updated_at"),
    )


def create_deletions() -> None:
    op.create_table(
        "erasures",
        identifier(),
        sa.Column("owner_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("on_behalf_of", sa.Text),
        sa.Column("account", sa.Boolean, nullable=False),
        sa.Column("rows", JSONB, nullable=False, server_default=NOTHING),
        sa.Column("objects", JSONB, nullable=False, server_default=NOTHING),
        sa.Column("error", sa.Text),
        now("requested_at"),
        moment("finished_at"),
    )
    op.create_index("erasures_owner_id_requested_at_idx", "erasures", ["owner_id", "requested_at"])
    op.create_index("erasures_open_idx", "erasures", ["requested_at"], postgresql_where=sa.text("finished_at IS NULL"))
    op.create_table(
        "object_deletions",
        identifier(),
        sa.Column("prefix", sa.Text, nullable=False),
        sa.Column("job_id", sa.Uuid(as_uuid=False)),
        reference("erasure_id", "erasures.id", nullable=True),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=ZERO),
        now("due_at"),
        now("created_at"),
    )
    for column in ("due_at", "job_id", "erasure_id"):
        op.create_index(f"object_deletions_{column}_idx", "object_deletions", [column])


def create_webhooks() -> None:
    op.create_table(
        "webhook_endpoints",
        identifier(),
        reference("owner_id", "owners.id"),
        sa.Column("url", sa.Text),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("events", JSONB, nullable=False, server_default=NO_ITEMS),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("previous_secret", sa.Text),
        moment("previous_until"),
        moment("failing_since"),
        moment("paused_at"),
        sa.Column("pause_reason", sa.Text),
        now("created_at"),
    )
    op.create_index("webhook_endpoints_owner_id_idx", "webhook_endpoints", ["owner_id"])
    only_jobs = sa.text("url IS NULL")
    op.create_index(
        "webhook_endpoints_jobs_idx", "webhook_endpoints", ["owner_id"], unique=True, postgresql_where=only_jobs
    )
    create_deliveries()


def create_deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        identifier(),
        reference("owner_id", "owners.id"),
        reference("endpoint_id", "webhook_endpoints.id"),
        reference("job_id", "jobs.id", nullable=True),
        sa.Column("event", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=ZERO),
        sa.Column("token", sa.Uuid(as_uuid=False)),
        now("due_at"),
        sa.Column("tries", JSONB, nullable=False, server_default=NO_ITEMS),
        now("created_at"),
        moment("finished_at"),
    )
    for name, columns, rows in (
        ("due", ["endpoint_id", "due_at"], "status = 'pending'"),
        ("sent", ["endpoint_id"], "token IS NOT NULL"),
        ("newest", ["owner_id", sa.text("created_at DESC"), sa.text("id DESC")], None),
        ("endpoint", ["endpoint_id", "status"], None),
        ("job_id", ["job_id"], None),
        ("ended", ["finished_at"], "finished_at IS NOT NULL"),
    ):
        where = None if rows is None else sa.text(rows)
        op.create_index(f"webhook_deliveries_{name}_idx", "webhook_deliveries", columns, postgresql_where=where)


def extend_jobs() -> None:
    op.add_column("jobs", sa.Column("hold_reason", sa.Text))
    for column in ("held_at", *JOB_TIMES):
        op.add_column("jobs", moment(column))
    for column in JOB_TIMES:
        still = sa.text(f"{column} IS NULL")
        op.create_index(f"jobs_{column.removesuffix('_at')}_idx", "jobs", ["finished_at"], postgresql_where=still)
    op.create_index(  # by hash: a key may be longer than a B-tree takes
        "jobs_source_idx",
        "jobs",
        [sa.text("(source ->> 'value')")],
        postgresql_using="hash",
        postgresql_where=sa.text("(source ->> 'kind') <> 'url'"),
    )
    op.add_column("artefacts", moment("files_deleted_at"))
