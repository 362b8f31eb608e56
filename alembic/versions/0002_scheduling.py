"""Which run goes next: priority, fairness between owners and between jobs, paused queues, batches."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

EMPTY = sa.text("'{}'::jsonb")
ZERO = sa.text("0")
WAITING = sa.text("status = 'queued' AND ready")
# The three questions asked of a queue: whose turn is it, which of their runs, and where does their next one go.
TURN_INDEXES = (
    ("stage_runs_turn_idx", ["stage", "priority", "turn", "created_at"]),
    ("stage_runs_owner_turn_idx", ["stage", "priority", "owner_id", "job_turn", "turn"]),
    ("stage_runs_owner_last_idx", ["stage", "priority", "owner_id", "turn"]),
)
# A queue's dead entries lie where the next claim looks first; a fifth of the table is too many to wait for.
VACUUM_EARLY = "autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02"

# While a deploy is under way the version before this one still writes runs, and does not know the column.
FILL_OWNER = """
CREATE FUNCTION stage_run_owner() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    SELECT owner_id INTO new.owner_id FROM public.jobs WHERE id = new.job_id;
    RETURN new;
END $$
"""
ON_INSERT = """
CREATE TRIGGER stage_run_owner BEFORE INSERT ON stage_runs
    FOR EACH ROW WHEN (new.owner_id IS NULL) EXECUTE FUNCTION stage_run_owner()
"""


def upgrade() -> None:
    op.add_column("owners", sa.Column("settings", JSONB, nullable=False, server_default=EMPTY))
    op.add_column("jobs", sa.Column("priority", sa.SmallInteger, nullable=False, server_default=ZERO))
    same = sa.ForeignKey("jobs.id", name="jobs_deduped_from_fkey", ondelete="SET NULL")
    op.add_column("jobs", sa.Column("deduped_from", sa.Uuid(as_uuid=False), same))
    op.create_index(
        "jobs_deduped_from_idx", "jobs", ["deduped_from"], postgresql_where=sa.text("deduped_from IS NOT NULL")
    )
    add_turns()
    op.create_table(
        "queues",
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("paused_by", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    create_batches()
    for table in ("queues", "batches"):
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def add_turns() -> None:
    op.add_column("stage_runs", sa.Column("owner_id", sa.Uuid(as_uuid=False)))
    op.execute("UPDATE stage_runs SET owner_id = jobs.owner_id FROM jobs WHERE jobs.id = stage_runs.job_id")
    op.alter_column("stage_runs", "owner_id", nullable=False)
    op.execute(FILL_OWNER)
    op.execute(ON_INSERT)
    op.add_column("stage_runs", sa.Column("priority", sa.SmallInteger, nullable=False, server_default=ZERO))
    op.add_column("stage_runs", sa.Column("turn", sa.BigInteger, nullable=False, server_default=ZERO))
    op.add_column("stage_runs", sa.Column("job_turn", sa.BigInteger, nullable=False, server_default=ZERO))
    op.add_column("stage_runs", sa.Column("ready", sa.Boolean, nullable=False, server_default=sa.text("true")))
    op.execute("UPDATE stage_runs SET ready = false WHERE status = 'queued' AND not_before > now()")
    for name, columns in TURN_INDEXES:
        op.create_index(name, "stage_runs", columns, postgresql_where=WAITING)
    later = sa.text("status = 'queued' AND NOT ready")
    op.create_index("stage_runs_later_idx", "stage_runs", ["not_before"], postgresql_where=later)
    op.drop_index("stage_runs_due_idx", "stage_runs")
    op.execute(f"ALTER TABLE stage_runs SET ({VACUUM_EARLY})")


def create_batches() -> None:
    owner = sa.ForeignKey("owners.id", ondelete="CASCADE")
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True, server_default=sa.func.gen_random_uuid()),
        sa.Column("owner_id", sa.Uuid(as_uuid=False), owner, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("body_hash", sa.Text, nullable=False),
        sa.Column("items", JSONB, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.UniqueConstraint("owner_id", "idempotency_key", name="batches_owner_id_idempotency_key_key"),
    )


def downgrade() -> None:
    op.drop_table("batches")
    op.drop_table("queues")
    op.execute("ALTER TABLE stage_runs RESET (autovacuum_vacuum_scale_factor, autovacuum_analyze_scale_factor)")
    op.drop_index("stage_runs_later_idx", "stage_runs")
    for name, _ in TURN_INDEXES:
        op.drop_index(name, "stage_runs")
    op.create_index("stage_runs_due_idx", "stage_runs", ["ring_at"], postgresql_where=sa.text("status = 'queued'"))
    op.execute("DROP TRIGGER stage_run_owner ON stage_runs")
    op.execute("DROP FUNCTION stage_run_owner()")
    for column in ("ready", "job_turn", "turn", "priority", "owner_id"):
        op.drop_column("stage_runs", column)
    op.drop_column("jobs", "deduped_from")
    op.drop_column("jobs", "priority")
    op.drop_column("owners", "settings")
