"""What the stages have cost lately on this installation: seconds of work per second of audio."""

from math import log2
from time import monotonic

from sqlalchemy import Connection, text

from shared.domain.job import Stage
from shared.store.session import Database

GOOD_FOR_S = 60.0
SIMILAR = 4.0  # recordings this much shorter or longer are compared: short ones are all start-up time

# Medians of the newest 50 of the last 500 runs of each stage, so that the reading stays a few index pages.
# Fewer than 3 runs say nothing. A shard of transcribe is alike in every job, however long.
_MEDIANS = text("""
SELECT wanted.stage, percentile_cont(0.5) WITHIN GROUP (ORDER BY similar_runs.cost) AS cost
FROM unnest(CAST(:stages AS text[])) AS wanted (stage)
CROSS JOIN LATERAL (
    SELECT recent.work_s / recent.audio_s AS cost
    FROM (
        SELECT work_s, audio_s, finished_at FROM stage_runs
        WHERE stage = wanted.stage AND work_s IS NOT NULL
        ORDER BY finished_at DESC LIMIT 500
    ) AS recent
    WHERE recent.audio_s > 0
      AND (wanted.stage = 'transcribe' OR recent.audio_s BETWEEN :shortest AND :longest)
    ORDER BY recent.finished_at DESC LIMIT 50
) AS similar_runs
GROUP BY wanted.stage
HAVING count(*) >= 3
""")


def recent_costs(connection: Connection, audio_s: float | None) -> dict[Stage, float]:
    """Stages with too little history are left out."""
    shortest, longest = (0.0, 1e9) if audio_s is None else (audio_s / SIMILAR, audio_s * SIMILAR)
    parameters = {"stages": [stage.value for stage in Stage], "shortest": shortest, "longest": longest}
    return {Stage(stage): float(cost) for stage, cost in connection.execute(_MEDIANS, parameters)}


class CostMemory:
    """What was read is good for a minute: medians of fifty runs move slowly, and a claim should cost nothing."""

    def __init__(self) -> None:
        self._read: dict[int | None, tuple[float, dict[Stage, float]]] = {}

    def of(self, database: Database, audio_s: float | None) -> dict[Stage, float]:
        """For recordings of about this length: within the next power of two, well inside what is alike."""
        size = None if audio_s is None else round(log2(max(1.0, audio_s)))
        read_at, costs = self._read.get(size, (-GOOD_FOR_S, {}))
        if monotonic() - read_at >= GOOD_FOR_S:
            with database.once() as connection:
                costs = recent_costs(connection, audio_s)
            self._read[size] = monotonic(), costs
        return costs
