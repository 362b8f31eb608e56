"""Many waiting jobs at once, written straight into the tables: what a queue of ten thousand is tried with."""

from typing import Any

from sqlalchemy import Connection, text

from shared.domain.ids import OwnerId, RunId
from shared.domain.job import Priority, Stage
from shared.store.turns import TAKE

# As `create_job` leaves them, each owner's runs one turn apart.
_JOBS = text("""
WITH made AS (
    INSERT INTO jobs (owner_id, session_id, source, options, priority)
    SELECT owners.id, 's', '{"kind": "url", "value": "https://lab.invalid/x"}', '{}', :rank
    FROM owners CROSS JOIN generate_series(1, :each) WHERE owners.name LIKE :name
    RETURNING id, owner_id
)
INSERT INTO stage_runs (job_id, stage, shard, owner_id, priority, turn)
SELECT id, :stage, 0, owner_id, :rank, row_number() OVER (PARTITION BY owner_id ORDER BY id) FROM made
""")
_OWNERS = text("INSERT INTO owners (name) SELECT :name || number FROM generate_series(1, :owners) AS number")


def crowd(
    connection: Connection, jobs: int, *, owners: int, name: str = "crowd-", stage: Stage = Stage.DOWNLOAD
) -> None:
    """`jobs` waiting bulk jobs of `owners` owners."""
    connection.execute(_OWNERS, {"name": name, "owners": owners})
    named = {"name": f"{name}%", "each": jobs // owners, "rank": Priority.BULK.rank, "stage": stage}
    connection.execute(_JOBS, named)


def explain_claim(connection: Connection, hint: RunId) -> dict[str, Any]:
    """The claim's plan as it ran, with what it touched. The caller rolls back."""
    token = "00000000-0000-0000-0000-000000000000"
    named = {"hint": hint, "least": 0, "token": token, "message_id": "explain", "lease_s": 20.0}
    explained = text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {TAKE.text}")
    plan: dict[str, Any] = connection.execute(explained, named).scalar_one()[0]
    return plan


def nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """Every step of a plan."""
    below = [found for step in plan.get("Plans", []) for found in nodes(step)]
    return [plan, *below]


def hint_of(connection: Connection, stage: Stage = Stage.DOWNLOAD) -> RunId:
    found = connection.execute(text("SELECT id::text FROM stage_runs WHERE stage = :stage LIMIT 1"), {"stage": stage})
    return RunId(found.scalar_one())


def owner_named(connection: Connection, name: str) -> OwnerId:
    return OwnerId(
        connection.execute(text("SELECT id::text FROM owners WHERE name = :name"), {"name": name}).scalar_one()
    )
