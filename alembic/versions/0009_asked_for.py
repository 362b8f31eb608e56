"""Finding the jobs that were asked for in somebody's name, without looking at everybody's."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX jobs_asked_for_idx ON jobs ((options ->> 'on_behalf_of'))"
        " WHERE (options ->> 'on_behalf_of') IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX jobs_asked_for_idx")
