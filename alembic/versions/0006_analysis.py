"""What analysis remembers: enrolled voices, glossaries, corrections of speakers."""

import sqlalchemy as sa
from alembic import op
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = ("voices", "glossaries", "corrections")
JSONB = postgresql.JSONB
# Supabase keeps extensions in a schema of their own; elsewhere there is none of that name, and `public` takes it.
EXTENSION = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'extensions') THEN
        CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA extensions;
    ELSE
        CREATE EXTENSION IF NOT EXISTS vector;
    END IF;
END $$;
"""
# A schema that does not exist is passed over; the type must be found wherever it is.
FIND_TYPE = "SELECT set_config('search_path', current_setting('search_path') || ', extensions', true)"


def upgrade() -> None:
    op.execute(EXTENSION)
    op.execute(FIND_TYPE)
    create_voices()
    create_glossaries()
    create_corrections()
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def downgrade() -> None:
    """The extension stays: others may use it."""
    for table in TABLES:
        op.drop_table(table)


def reference(name: str, target: str, *, nullable: bool = False, primary_key: bool = False) -> sa.Column:
    key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.Uuid(as_uuid=False), key, nullable=nullable, primary_key=primary_key)


def now(name: str) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def create_voices() -> None:
    op.create_table(
        "voices",
        sa.Column("id", sa.Uuid(as_uuid=False), primary_key=True, server_default=sa.func.gen_random_uuid()),
        reference("owner_id", "owners.id"),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("origin", sa.Text, nullable=False),
        sa.Column("embedding", VECTOR),
        sa.Column("telephone", VECTOR),
        sa.Column("model", sa.Text),
        sa.Column("speech_s", sa.Double),
        sa.Column("error", JSONB),
        sa.Column("sample_key", sa.Text),
        sa.Column("drop_sample", sa.Text),
        reference("job_id", "jobs.id", nullable=True),
        sa.Column("speaker", sa.Text),
        sa.Column("attempt", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("ring_at", sa.DateTime(timezone=True)),
        now("created_at"),
        sa.CheckConstraint("status IN ('pending', 'ready', 'refused')", name="voices_status_check"),
        sa.CheckConstraint("role IN ('coach', 'client', 'unknown')", name="voices_role_check"),
    )
    op.create_index("voices_owner_id_idx", "voices", ["owner_id"])
    op.create_index("voices_remembered_idx", "voices", ["job_id", "speaker"], unique=True)
    op.create_index("voices_due_idx", "voices", ["ring_at"], postgresql_where=sa.text("status = 'pending'"))


def create_glossaries() -> None:
    op.create_table(
        "glossaries",
        reference("owner_id", "owners.id", primary_key=True),
        sa.Column("terms", JSONB, nullable=False),
        now("updated_at"),
    )


def create_corrections() -> None:
    op.create_table(
        "corrections",
        reference("job_id", "jobs.id"),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("owner_id", sa.Uuid(as_uuid=False), nullable=False),
        sa.Column("asked", JSONB, nullable=False),
        sa.Column("change", JSONB, nullable=False),
        sa.Column("diarization", sa.Text),
        now("made_at"),
        sa.PrimaryKeyConstraint("job_id", "number"),
    )
