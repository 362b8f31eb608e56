"""Row level security in PostgreSQL, as a Supabase database has it: two users and nobody, over every table there is.

Supabase hands `anon` and `authenticated` every right on every new table of its public schema, so that what keeps them
out is checked here with those default rights in force.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import ProgrammingError

from cli.stack import Stack
from shared.domain.access import AuditEntry
from shared.domain.job import JobOptions, Source, SourceKind
from shared.settings import Settings
from shared.store.migrate import upgrade
from shared.store.schema import metadata
from shared.toolbox import Toolbox
from tests.conftest import on_database
from tests.integration.engine.test_migrations import SUPABASE, connect, make_job

pytestmark = pytest.mark.integration

RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
SHOWN = {"jobs", "job_progress", "audit_log"}  # what a signed-in user may read of their own
ROLES = """
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['anon', 'authenticated'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN EXECUTE format('CREATE ROLE %I', name); END IF;
    END LOOP;
END $$;
GRANT USAGE ON SCHEMA auth, public TO anon, authenticated;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON SEQUENCES TO anon, authenticated;
"""

Link = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Supabase:
    """Two users with a job and an entry of the audit log each."""

    link: Link
    users: tuple[str, str]
    jobs: tuple[str, str]

    def as_(self, role: str, user: str | None, statement: str) -> list[tuple[Any, ...]]:
        """What PostgREST does: the role and the claims of the token, for one transaction."""
        with self.link.transaction():
            self.link.execute(f"SET LOCAL ROLE {role}")
            self.link.execute("SELECT set_config('request.jwt.sub', %s, true)", [user or ""])
            done = self.link.execute(statement)
            return done.fetchall() if done.description else [(done.rowcount,)]


@pytest.fixture(scope="module")
def supabase(servers: Stack) -> Iterator[Supabase]:
    """One database for these tests, none of which changes it for good."""
    with connect(servers.settings) as link:
        link.execute("CREATE DATABASE supabase")
    settings = on_database(servers.settings, "supabase")
    with connect(settings) as link:
        link.execute(SUPABASE)
        link.execute(ROLES)
        upgrade(settings)
        users = tuple(_owner(link) for _ in range(2))
        jobs = tuple(str(make_job(link, user)) for user in users)
        for user in users:
            link.execute("INSERT INTO audit_log (owner_id, actor, action, outcome) VALUES (%s, 'x', 'y', 'ok')", [user])
        yield Supabase(link, users, jobs)


def _owner(link: Link) -> str:
    user = str(uuid.uuid4())
    link.execute("INSERT INTO owners (id, name) VALUES (%s, 'user')", [user])
    return user


def _tables(link: Link) -> list[str]:
    return [name for (name,) in link.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]


def test_nobody_has_a_right_that_is_not_listed_here(supabase: Supabase) -> None:
    """`anon` none on any table; `authenticated` may read three tables and do nothing else, TRUNCATE included."""
    ask = "SELECT has_table_privilege(%s, %s, %s)"
    rights = {
        (role, table, right)
        for table in _tables(supabase.link)
        for role in ("anon", "authenticated")
        for right in RIGHTS
        if supabase.link.execute(ask, [role, f"public.{table}", right]).fetchone() == (True,)
    }
    assert rights == {("authenticated", table, "SELECT") for table in SHOWN}


def test_row_level_security_is_on_and_lets_only_owners_read(supabase: Supabase) -> None:
    """Every table has it; the only rules for users are to read their own rows of the three tables."""
    off = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
    assert supabase.link.execute(f"{off} AND NOT relrowsecurity").fetchall() == []
    found = supabase.link.execute(
        "SELECT tablename, cmd, roles::text[] FROM pg_policies WHERE roles::text[] && '{anon,authenticated,public}'"
    ).fetchall()
    assert {(table, command, *roles) for table, command, roles in found} == {
        (table, "SELECT", "authenticated") for table in SHOWN
    }


def test_rights_given_by_mistake_show_nothing(supabase: Supabase) -> None:
    """Somebody grants everything again, as Supabase's studio offers: nobody sees or changes a row of any table."""
    stranger = str(uuid.uuid4())
    for table in _tables(supabase.link):
        with supabase.link.transaction(force_rollback=True):
            supabase.link.execute(f"GRANT ALL ON {table} TO anon, authenticated")
            for role, user in (("anon", None), ("authenticated", stranger), ("authenticated", None)):
                assert supabase.as_(role, user, f"SELECT count(*) FROM {table}") == [(0,)]
            if table != "audit_log":
                assert supabase.as_("authenticated", supabase.users[0], f"DELETE FROM {table}") == [(0,)]


@pytest.mark.parametrize("table", sorted(SHOWN))
def test_each_of_two_users_sees_their_own_rows(supabase: Supabase, table: str) -> None:
    """Exactly theirs, whatever they ask for; and without a user there are none."""
    for user in supabase.users:
        seen = supabase.as_("authenticated", user, f"SELECT owner_id::text FROM {table}")
        assert seen == [(user,)]
    assert supabase.as_("authenticated", None, f"SELECT * FROM {table}") == []
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        supabase.as_("anon", None, f"SELECT * FROM {table}")


CHANGES = {
    "insert": "INSERT INTO jobs (owner_id, session_id, source, options) VALUES ('{me}', 's', '{{}}', '{{}}')",
    "take over": "UPDATE jobs SET owner_id = '{me}'",
    "delete": "DELETE FROM job_progress",
    "empty": "TRUNCATE audit_log",
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_user_changes_nothing_past_the_api(supabase: Supabase, change: str) -> None:
    """Not even their own rows."""
    me = supabase.users[0]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        supabase.as_("authenticated", me, change.format(me=me))


@pytest.mark.parametrize(
    "change", ["UPDATE audit_log SET actor = 'z'", "DELETE FROM audit_log", "TRUNCATE audit_log"], ids=str.lower
)
def test_the_audit_log_is_only_added_to(supabase: Supabase, change: str) -> None:
    """Not even the tables' owner changes or removes an entry by an ordinary statement."""
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only ever added"):
        supabase.link.execute(change)


def test_a_query_that_forgets_the_owner_finds_no_other(settings: Settings) -> None:
    """The API reads an owner's rows as a role that sees those alone: of every table, and nothing without an owner."""
    tools = Toolbox(settings)
    mine, theirs = (tools.ledger.create_owner(name) for name in ("mine", "theirs"))
    source = Source(SourceKind.URL, "https://example.com/a.m4a")
    jobs = {
        owner: tools.ledger.create_job(owner, source=source, options=JobOptions()).job.id for owner in (mine, theirs)
    }
    for owner in (mine, theirs):
        tools.ledger.create_api_key(owner, "key")
        tools.ledger.create_upload(owner, filename="a", content_type="a/b", bytes=1)
        tools.ledger.audit(AuditEntry(actor="system", action="test", outcome="ok", owner_id=owner))
    with tools.ledger.database.reading_as(mine) as connection:
        for table in (table for table in metadata.sorted_tables if "owner_id" in table.c):
            seen = {row.owner_id for row in connection.execute(select(table))}
            assert seen <= {mine}, table.name
        assert [row.id for row in connection.execute(select(metadata.tables["jobs"]))] == [jobs[mine]]
    with tools.ledger.database.reading_as("") as connection:
        assert connection.execute(select(metadata.tables["jobs"])).all() == []
    with tools.ledger.database.begin() as connection:
        assert len(connection.execute(select(metadata.tables["jobs"])).all()) == 2
    tools.close()


def test_who_reads_as_an_owner_cannot_write(settings: Settings) -> None:
    """Nor become somebody else by a query of theirs: the role has no right but to read."""
    tools = Toolbox(settings)
    owner = tools.ledger.create_owner("mine")
    for statement in ("DELETE FROM jobs", "UPDATE api_keys SET scopes = '{operator}'", "SELECT * FROM owners"):
        with (
            pytest.raises(ProgrammingError, match="permission denied"),
            tools.ledger.database.reading_as(owner) as link,
        ):
            link.execute(text(statement))
    tools.close()
