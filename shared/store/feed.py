"""Progress rows for the Realtime channel, each with who may see it: its owner, and whom they asked for.

The same rule as the policies on `job_progress` in a Supabase database (migration 0001).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from shared.domain.ids import OwnerId
from shared.store.session import Database

# As PostgreSQL names them, in the table's order; a test compares them with its catalogue.
COLUMNS = (
    ("job_id", "uuid"),
    ("version", "int4"),
    ("session_id", "text"),
    ("owner_id", "uuid"),
    ("status", "text"),
    ("stage", "text"),
    ("percent", "float8"),
    ("eta_s", "float8"),
    ("message_key", "text"),
    ("message", "text"),
    ("updated_at", "timestamptz"),
)
MOST_ROWS = 5_000  # of one look: several hours of a job's rows

_ROWS = (
    "SELECT to_jsonb(p) AS record, j.options ->> 'on_behalf_of' AS asked_for"
    " FROM job_progress p JOIN jobs j ON j.id = p.job_id"
)
_HEARD = text(
    f"{_ROWS} JOIN unnest(CAST(:jobs AS uuid[]), CAST(:after AS int[]), CAST(:upto AS int[])) AS h (id, after, upto)"
    " ON p.job_id = h.id AND p.version > h.after AND p.version <= h.upto ORDER BY p.version"
)
_SINCE = text(
    f"{_ROWS} WHERE j.progress_at > :since AND p.updated_at > :since ORDER BY p.updated_at, p.version LIMIT {MOST_ROWS}"
)
# Jobs first, by an index each; their rows then by key.
_MINE = "SELECT id FROM jobs WHERE owner_id = CAST(:owner AS uuid)"
_FOR_ME = " UNION ".join((_MINE, "SELECT id FROM jobs WHERE options ->> 'on_behalf_of' = :user"))
_OF_JOB = "p.job_id = CAST(:job AS uuid)"
_OF_SESSION = "j.session_id = :session"
_LATELY = (
    "j.progress_at > now() - make_interval(secs => :lately) AND p.updated_at > now() - make_interval(secs => :lately)"
)
_IN_UTC = text("SELECT set_config('TimeZone', 'UTC', true)")  # how to_jsonb writes times: as hosted Realtime does


@dataclass(frozen=True, slots=True)
class FeedRow:
    """A progress row as JSON."""

    record: Mapping[str, Any]
    asked_for: str | None  # on whose behalf the owner asked

    @property
    def job_id(self) -> str:
        return str(self.record["job_id"])

    @property
    def version(self) -> int:
        return int(self.record["version"])

    @property
    def owner_id(self) -> str:
        return str(self.record["owner_id"])

    @property
    def committed_at(self) -> str:
        """In milliseconds. The row's own time: that of the commit is some milliseconds later, and nobody keeps it."""
        at = datetime.fromisoformat(self.record["updated_at"]).astimezone(UTC)
        return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ProgressFeed:
    """Reads for all subscribers at once; who may see which row, the channel decides by `FeedRow`."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def heard(self, wanted: Mapping[str, tuple[int, int]]) -> list[FeedRow]:
        """By job: the versions after the first number, up to the second. Each job's in order."""
        after, upto = zip(*wanted.values(), strict=True)
        return self._read(_HEARD, jobs=list(wanted), after=list(after), upto=list(upto))

    def since(self, moment: datetime) -> list[FeedRow]:
        return self._read(_SINCE, since=moment)

    def visible(
        self,
        owner_id: OwnerId,
        user_id: str | None,
        *,
        job: str | None,
        session: str | None,
        lately_s: float,
        most: int,
    ) -> list[FeedRow]:
        """What a subscriber may see of a job or a session, or of what went on lately: the latest `most`, in order."""
        whose = _FOR_ME if user_id else _MINE
        which = _OF_JOB if job else _OF_SESSION if session else _LATELY
        latest = f"{_ROWS} WHERE j.id IN ({whose}) AND {which} ORDER BY p.updated_at DESC, p.version DESC LIMIT :most"
        named = {"owner": owner_id, "user": user_id, "job": job, "session": session, "lately": lately_s, "most": most}
        used = {name: value for name, value in named.items() if f":{name}" in latest}
        return self._read(text(latest), **used)[::-1]

    def _read(self, query: Any, **values: object) -> list[FeedRow]:
        with self.database.begin() as connection:
            return _rows(connection, query, values)


def _rows(connection: Connection, query: Any, values: Mapping[str, object]) -> list[FeedRow]:
    connection.execute(_IN_UTC)
    found: Sequence[Any] = connection.execute(query, values).all()
    return [FeedRow(row.record, row.asked_for) for row in found]
