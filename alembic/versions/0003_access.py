"""Who may do what: scopes, expiry and use of keys, the audit log, row ownership."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

OWNER_SCOPES = "{jobs:read,jobs:write,uploads:write,owner:admin}"  # keys made before there were scopes lose nothing
KEY_TIMES = ("previous_until", "expires_at", "rotated_at", "revoked_at", "last_used_at")


def upgrade() -> None:
    extend_keys()
    create_audit_log()


def downgrade() -> None:
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION refuse_audit_change()")
    for column in ("previous_sha256", "scopes", *KEY_TIMES):
        op.drop_column("api_keys", column)


def extend_keys() -> None:
    op.add_column("api_keys", sa.Column("previous_sha256", sa.Text))
    op.create_unique_constraint("api_keys_previous_sha256_key", "api_keys", ["previous_sha256"])
    scopes = sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False, server_default=OWNER_SCOPES)
    op.add_column("api_keys", scopes)
    for name in KEY_TIMES:
        op.add_column("api_keys", sa.Column(name, sa.DateTime(timezone=True)))


def create_audit_log() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.clock_timestamp()),
        sa.Column("owner_id", sa.Uuid(as_uuid=False)),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object_id", sa.Text),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("request_id", sa.Text),
        sa.Column("address", sa.Text),
        sa.Column("details", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'::jsonb")),
    )
    op.create_index("audit_log_owner_idx", "audit_log", ["owner_id", "id"])
    op.execute("ALTER TABLE audit_log ENABLE ROW LEVEL SECURITY")
    op.execute(APPEND_ONLY)
    op.execute(OWN_ROWS)


APPEND_ONLY = """
CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql SET search_path = '' AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
"""

# Where this database is Supabase's, a signed-in user may read their own entries.
OWN_ROWS = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth')
       AND EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN
        GRANT SELECT ON audit_log TO authenticated;
        CREATE POLICY audit_log_own_rows ON audit_log FOR SELECT TO authenticated
            USING (owner_id = (SELECT auth.uid()));
    END IF;
END $$;
"""
