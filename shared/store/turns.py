"""Whose turn it is in a stage's queue, and the claim of the run whose turn it is.

A queue is in order of priority, then of `turn`. Each owner's runs stand in it one turn apart, beginning where the queue
now stands: so owners take turns, and who brings five hundred waits no longer than before but does not hold up others
(start-time fair queueing). Which of an owner's runs takes the owner's turn is settled by `job_turn` in the same way:
so the shards of a long job let the owner's next job through. All of it is in the waiting rows: nothing to lose.

A claim looks at the first entries of two indexes, however long the queue is.
"""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnClause,
    ColumnElement,
    Connection,
    Integer,
    Text,
    Uuid,
    column,
    func,
    select,
    text,
)

from shared.domain.ids import RunId
from shared.domain.job import RunStatus, Stage
from shared.observe.traces import current_traceparent
from shared.store.changes import CREATOR_RINGS_WITHIN_S
from shared.store.rows import AnyRow
from shared.store.tables import JSONB, jobs, stage_runs

TURN_LOCKS = 7_467  # the class of our advisory locks, which hold until the transaction ends, behind a pooler too

# Where a run of `wanted` goes: behind the owner's last one, else where the queue now stands.
_LINE = """
SELECT coalesce(
    (SELECT max(q.turn) + 1 FROM stage_runs AS q WHERE q.stage = wanted.stage AND q.priority = wanted.priority
        AND q.owner_id = wanted.owner_id AND q.status = 'queued' AND q.ready),
    (SELECT min(q.turn) FROM stage_runs AS q WHERE q.stage = wanted.stage AND q.priority = wanted.priority
        AND q.status = 'queued' AND q.ready),
    0) AS turn,
  coalesce(
    (SELECT min(q.job_turn) FROM stage_runs AS q WHERE q.stage = wanted.stage AND q.priority = wanted.priority
        AND q.owner_id = wanted.owner_id AND q.status = 'queued' AND q.ready),
    0) AS job_turn
"""
_TURNS = """
line.turn + row_number() OVER (PARTITION BY wanted.stage, wanted.priority ORDER BY wanted.place) - 1 AS turn,
line.job_turn + row_number() OVER (PARTITION BY wanted.stage, wanted.job_id ORDER BY wanted.place) - 1 AS job_turn
"""
_ADD = text(f"""
INSERT INTO stage_runs (job_id, stage, shard, owner_id, priority, traceparent, ring_at, turn, job_turn)
SELECT wanted.job_id, wanted.stage, wanted.shard, wanted.owner_id, wanted.priority, CAST(:traceparent AS text),
    now() + make_interval(secs => :grace_s), {_TURNS}
FROM (
    SELECT named.*, jobs.owner_id, jobs.priority
    FROM unnest(CAST(:jobs AS uuid[]), CAST(:stages AS text[]), CAST(:shards AS int[]))
        WITH ORDINALITY AS named (job_id, stage, shard, place)
    JOIN jobs ON jobs.id = named.job_id
) AS wanted CROSS JOIN LATERAL ({_LINE}) AS line
ORDER BY wanted.place
ON CONFLICT DO NOTHING RETURNING stage, id
""")  # noqa: S608 - only our own text is put in
_LINE_UP = text(f"""
UPDATE stage_runs AS r SET ready = true, turn = placed.turn, job_turn = placed.job_turn
FROM (
    SELECT wanted.id, {_TURNS}
    FROM (SELECT *, shard AS place FROM stage_runs WHERE id = ANY(CAST(:ids AS uuid[]))) AS wanted
    CROSS JOIN LATERAL ({_LINE}) AS line
) AS placed WHERE r.id = placed.id
""")  # noqa: S608
# `least` leaves priorities out that go before it. The run at the head gives its turn to the owner's run that is
# chosen, and takes that one's turn instead.
TAKE = text(f"""
WITH asked AS MATERIALIZED (
    SELECT r.stage FROM stage_runs AS r
    WHERE r.id = CAST(:hint AS uuid) AND NOT EXISTS (SELECT FROM queues AS q WHERE q.stage = r.stage)
), head AS MATERIALIZED (
    SELECT r.id, r.priority, r.owner_id FROM stage_runs AS r
    WHERE r.stage = (SELECT stage FROM asked) AND r.priority >= :least AND r.status = 'queued' AND r.ready
    ORDER BY r.priority, r.turn, r.created_at LIMIT 1 FOR UPDATE SKIP LOCKED
), chosen AS MATERIALIZED (
    SELECT r.id, r.turn FROM stage_runs AS r
    WHERE r.stage = (SELECT stage FROM asked) AND r.priority = (SELECT priority FROM head)
        AND r.owner_id = (SELECT owner_id FROM head) AND r.status = 'queued' AND r.ready
    ORDER BY r.job_turn, r.turn LIMIT 1 FOR UPDATE SKIP LOCKED
), passed_over AS (
    UPDATE stage_runs AS r SET turn = chosen.turn FROM head, chosen WHERE r.id = head.id AND head.id <> chosen.id
)
, taken AS (
UPDATE stage_runs AS r SET status = 'running', token = CAST(:token AS uuid), message_id = :message_id,
    attempt = r.attempt + 1, lease_until = now() + make_interval(secs => :lease_s), started_at = now(), done_s = 0
FROM chosen WHERE r.id = chosen.id
RETURNING r.id, r.job_id, r.stage, r.shard, r.attempt, r.cache_key, r.error, r.traceparent
)
SELECT taken.id AS run_id, taken.stage AS run_stage, taken.shard, taken.attempt, taken.cache_key,
    taken.error AS run_error, taken.traceparent AS led_here,
    greatest(taken.attempt, (SELECT max(attempt) FROM stage_runs WHERE job_id = taken.job_id)) AS attempts,
    (SELECT coalesce(sum(micro_usd), 0) FROM provider_calls WHERE job_id = taken.job_id) AS micro_usd,
    (SELECT jsonb_agg(jsonb_build_array(stage, shard, cache_key) ORDER BY stage, shard) FROM artefacts
        WHERE job_id = taken.job_id) AS made,
    (SELECT jsonb_object_agg(stage, error) FROM stage_runs
        WHERE job_id = taken.job_id AND status IN ('failed', 'dead')) AS broken,
    {", ".join(f"jobs.{column.name}" for column in jobs.c)}
FROM taken JOIN jobs ON jobs.id = taken.job_id
""")  # noqa: S608
_CLAIMED: list[ColumnClause[Any]] = [
    column("run_id", Uuid(as_uuid=False)),
    *(column(name, type_) for name, type_ in (("run_stage", Text), ("shard", Integer), ("attempt", Integer))),
    *(column(name, type_) for name, type_ in (("cache_key", Text), ("run_error", JSONB), ("led_here", Text))),
    *(column(name, type_) for name, type_ in (("attempts", Integer), ("micro_usd", BigInteger))),
    *(column(name, JSONB) for name in ("made", "broken")),
    *(column(job_column.name, job_column.type) for job_column in jobs.c),
]
_TAKE_ROWS = TAKE.columns(*_CLAIMED)

Wanted = tuple[str, Stage, int]  # job, stage, shard


@dataclass(frozen=True, slots=True)
class Hand:
    """Who takes a run, and for how long unless renewed."""

    token: str
    message_id: str
    lease_s: float


def add_runs(connection: Connection, wanted: list[Wanted]) -> list[tuple[Stage, RunId]]:
    """Rows for the runs that have none yet. The caller rings them after the commit; else the steward does.

    Two of one owner at the same moment may stand in the same place. There are never more of these than workers; who
    lets in requests takes `one_at_a_time` before.
    """
    if not wanted:
        return []
    job_ids, stages, shards = (list(column) for column in zip(*wanted, strict=True))
    named = {"jobs": job_ids, "stages": stages, "shards": shards, "grace_s": CREATOR_RINGS_WITHIN_S}
    named["traceparent"] = current_traceparent()
    return [(Stage(stage), RunId(str(run_id))) for stage, run_id in connection.execute(_ADD, named)]


def line_up(connection: Connection, owner_id: str, run_ids: list[RunId]) -> None:
    """Runs that are queued again, not `ready` yet: each goes where a new one would."""
    if run_ids:
        one_at_a_time(connection, owner_id)
        connection.execute(_LINE_UP, {"ids": run_ids})


def take(connection: Connection, hint: RunId, hand: Hand, *, least: int = 0) -> AnyRow | None:
    """Claims the run whose turn it is in the stage of `hint`; None when there is none, or the queue is paused."""
    return connection.execute(_TAKE_ROWS, {"hint": hint, "least": least} | asdict(hand)).one_or_none()


def not_before_others() -> dict[str, ColumnElement[Any]]:
    """For runs that come back: their old turn has passed, and must not draw new ones in front of those who wait."""
    queue = stage_runs.alias("queue")
    waits = (queue.c.status == RunStatus.QUEUED, queue.c.ready)
    same = (queue.c.stage == stage_runs.c.stage, queue.c.priority == stage_runs.c.priority)
    now_at = select(func.min(queue.c.turn)).where(*waits, *same).scalar_subquery()
    owners = select(func.min(queue.c.job_turn)).where(*waits, *same, queue.c.owner_id == stage_runs.c.owner_id)
    return {
        "turn": func.greatest(stage_runs.c.turn, now_at),
        "job_turn": func.greatest(stage_runs.c.job_turn, owners.scalar_subquery()),
    }


def one_at_a_time(connection: Connection, owner_id: str) -> None:
    """Two requests of one owner that look at the same moment would stand in the same place."""
    lock = text("SELECT pg_advisory_xact_lock(:class, hashtext(:owner))")
    connection.execute(lock, {"class": TURN_LOCKS, "owner": owner_id})
