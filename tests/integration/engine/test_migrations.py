"""The schema, from nothing and back."""

import alembic
import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from shared.settings import Settings
from shared.store.migrate import downgrade, upgrade
from shared.store.schema import metadata
from shared.store.session import open_engine

pytestmark = pytest.mark.integration

SUPABASE = """
CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS
    $$ SELECT nullif(current_setting('request.jwt.sub', true), '')::uuid $$;
"""
ROLE = """
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'authenticated') THEN CREATE ROLE authenticated; END IF;
END $$
"""
USAGE = "GRANT USAGE ON SCHEMA auth, public TO authenticated"


def connect(settings: Settings) -> psycopg.Connection[tuple[object, ...]]:
    assert settings.database_url is not None
    return psycopg.connect(settings.database_url.get_secret_value(), autocommit=True)


def tables(settings: Settings) -> set[object]:
    with connect(settings) as link:
        return {name for (name,) in link.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}


def test_the_installed_alembic_is_imported() -> None:
    """The folder of our migrations does not hide the package of the same name."""
    assert "site-packages" in (alembic.__file__ or "")


def test_the_migrations_build_what_the_tables_say(settings: Settings) -> None:
    """Autogenerate finds nothing to do after an upgrade from empty."""
    engine = open_engine(settings)
    with engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert difference == []


def test_down_and_up_again(settings: Settings) -> None:
    """A downgrade leaves nothing of ours, and an upgrade after it works."""
    downgrade(settings)
    assert tables(settings) == {"alembic_version"}
    upgrade(settings)
    assert {"jobs", "stage_runs", "job_progress"} <= tables(settings)


def test_row_level_security_is_on_everywhere(settings: Settings) -> None:
    """No table of ours is open to another role of the database."""
    with connect(settings) as link:
        found = link.execute("SELECT relname FROM pg_class WHERE relrowsecurity AND relkind = 'r'").fetchall()
    assert {name for (name,) in found} == tables(settings)


def test_progress_is_published(settings: Settings) -> None:
    """Supabase Realtime's publication carries the progress rows and nothing else of ours."""
    with connect(settings) as link:
        query = "SELECT tablename FROM pg_publication_tables WHERE pubname = 'supabase_realtime'"
        assert link.execute(query).fetchall() == [("job_progress",)]


def make_job(link: psycopg.Connection[tuple[object, ...]], owner: object, options: str = "{}") -> object:
    """A job with one progress row; returns its id."""
    columns = "INSERT INTO jobs (owner_id, session_id, source, options) VALUES (%s, 's', '{}', %s) RETURNING id"
    job = link.execute(columns, [owner, options]).fetchone()
    assert job is not None
    link.execute(
        "INSERT INTO job_progress (job_id, session_id, owner_id, version, status, percent, message_key, message)"
        " VALUES (%s, 's', %s, 1, 'queued', 0, 'queued', 'Queued')",
        [job[0], owner],
    )
    return job[0]


def test_a_supabase_user_reads_what_is_theirs_alone(settings: Settings) -> None:
    """Where the database is Supabase's, a signed-in user sees their jobs and those asked for in their name."""
    downgrade(settings)
    with connect(settings) as link:
        for statement in (ROLE, SUPABASE, USAGE):
            link.execute(statement)
        upgrade(settings)
        owners = [link.execute("INSERT INTO owners (name) VALUES (%s) RETURNING id", [name]) for name in ("a", "b")]
        me, service = (owner.fetchall()[0][0] for owner in owners)
        mine, asked = make_job(link, me), make_job(link, service, f'{{"on_behalf_of": "{me}"}}')
        make_job(link, service, '{"on_behalf_of": "another"}')
        link.execute("SET ROLE authenticated")
        link.execute("SELECT set_config('request.jwt.sub', %s, false)", [str(me)])
        assert {job for (job,) in link.execute("SELECT id FROM jobs")} == {mine, asked}
        assert {job for (job,) in link.execute("SELECT job_id FROM job_progress")} == {mine, asked}
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            link.execute("SELECT * FROM api_keys")
