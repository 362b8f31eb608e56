"""Traces: which trace a job belongs to, and which span last had to do with a run. And runs that ended badly."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("traceparent", sa.Text()))
    op.add_column("stage_runs", sa.Column("traceparent", sa.Text()))
    op.create_index(
        "stage_runs_buried_idx",
        "stage_runs",
        ["finished_at"],
        postgresql_where=sa.text("status IN ('failed', 'dead')"),
    )


def downgrade() -> None:
    op.drop_index("stage_runs_buried_idx", "stage_runs")
    op.drop_column("stage_runs", "traceparent")
    op.drop_column("jobs", "traceparent")
