"""What an owner may use, and what was spent."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = ("owner_limits", "owner_days", "counted_audio", "provider_calls")


def upgrade() -> None:
    create_limits()
    create_use()
    create_calls()
    op.create_index("jobs_owner_open_idx", "jobs", ["owner_id", "status"], postgresql_where=OPEN)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    op.drop_index("jobs_owner_open_idx", "jobs")
    for table in reversed(TABLES):
        op.drop_table(table)


OPEN = sa.text("status IN ('queued', 'running')")


def owner(*, primary_key: bool = False) -> sa.Column:
    key = sa.ForeignKey("owners.id", ondelete="CASCADE")
    return sa.Column("owner_id", sa.Uuid(as_uuid=False), key, nullable=False, primary_key=primary_key)


def now(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def count(name: str, kind: type) -> sa.Column:
    return sa.Column(name, kind, nullable=False, server_default=sa.text("0"))


def create_limits() -> None:
    op.create_table(
        "owner_limits",
        owner(primary_key=True),
        sa.Column("open_jobs", sa.Integer),
        sa.Column("waiting_jobs", sa.Integer),
        sa.Column("audio_minutes_day", sa.Double),
        sa.Column("audio_minutes_month", sa.Double),
        sa.Column("upload_bytes_day", sa.BigInteger),
        sa.Column("job_budget_usd", sa.Double),
        sa.Column("owner_day_budget_usd", sa.Double),
        sa.Column("owner_month_budget_usd", sa.Double),
        now("updated_at"),
    )


def create_use() -> None:
    op.create_table(
        "owner_days",
        owner(),
        sa.Column("day", sa.Date, nullable=False),
        count("audio_s", sa.Double),
        count("upload_bytes", sa.BigInteger),
        sa.PrimaryKeyConstraint("owner_id", "day"),
    )
    op.create_table(
        "counted_audio",
        sa.Column("job_id", sa.Uuid(as_uuid=False), primary_key=True),
        owner(),
        sa.Column("audio_s", sa.Double, nullable=False),
        now("created_at"),
    )
    op.create_index("counted_audio_owner_id_idx", "counted_audio", ["owner_id"])


def create_calls() -> None:
    op.create_table(
        "provider_calls",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True, server_default=sa.func.gen_random_uuid()),
        owner(),
        sa.Column("job_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("run_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("tokens_in", sa.BigInteger, nullable=False),
        sa.Column("tokens_out", sa.BigInteger, nullable=False),
        sa.Column("audio_s", sa.Double, nullable=False),
        sa.Column("characters", sa.BigInteger, nullable=False),
        sa.Column("micro_usd", sa.BigInteger, nullable=False),
        sa.Column("outcome", sa.Text),
        now("created_at"),
        sa.Column("settled_at", sa.DateTime(timezone=True)),
    )
    op.create_index("provider_calls_job_id_idx", "provider_calls", ["job_id"])
    op.create_index("provider_calls_owner_id_created_at_idx", "provider_calls", ["owner_id", "created_at"])
