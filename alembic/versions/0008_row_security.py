"""Row ownership in the database itself: no right that is not needed, and a role that sees one owner's rows alone."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

ROLE = "vibeinsight_owner"
SHOWN = ("jobs", "job_progress", "audit_log")  # to Supabase's signed-in users, by the policies made before
OWNED = (
    "api_keys",
    "artefacts",
    "audit_log",
    "batches",
    "corrections",
    "counted_audio",
    "erasures",
    "glossaries",
    "job_progress",
    "jobs",
    "owner_days",
    "owner_limits",
    "provider_calls",
    "results",
    "retention_policies",
    "stage_runs",
    "uploads",
    "voices",
    "webhook_deliveries",
    "webhook_endpoints",
)
OTHERS = ("alembic_version", "chores", "object_deletions", "owners", "queues")


def upgrade() -> None:
    op.execute(MAKE_ROLE)
    op.execute(TAKE_AWAY.format(tables=", ".join((*OWNED, *OTHERS)), shown=", ".join(SHOWN)))
    for table in OWNED:
        op.execute(f"GRANT SELECT ON {table} TO {ROLE}")
        op.execute(
            f"CREATE POLICY {table}_of_owner ON {table} FOR SELECT TO {ROLE} "
            "USING (owner_id = nullif(current_setting('vibeinsight.owner_id', true), '')::uuid)"
        )


def downgrade() -> None:
    """The role itself stays: other databases of the same server may use it."""
    for table in OWNED:
        op.execute(f"DROP POLICY {table}_of_owner ON {table}")
        op.execute(f"REVOKE ALL ON {table} FROM {ROLE}")


# A role belongs to the whole server, where another database may have made it, or is making it just now. The one who
# connects must be allowed to become it; a superuser is anyhow.
MAKE_ROLE = f"""
DO $$ BEGIN
    BEGIN
        CREATE ROLE {ROLE} NOLOGIN NOINHERIT NOBYPASSRLS;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
    IF NOT pg_has_role(current_user, '{ROLE}', 'SET') THEN EXECUTE format('GRANT {ROLE} TO %I', current_user); END IF;
END $$;
GRANT USAGE ON SCHEMA public TO {ROLE};
"""

# Supabase grants its roles every right on every new table. Row level security holds all the same, but not TRUNCATE.
TAKE_AWAY = """
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        IF EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('REVOKE ALL ON TABLE {tables} FROM %I', name);
        END IF;
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated')
       AND EXISTS (SELECT FROM pg_namespace WHERE nspname = 'auth') THEN
        GRANT SELECT ON TABLE {shown} TO authenticated;
    END IF;
END $$;
"""
