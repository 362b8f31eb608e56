"""How long a stage waits after a kill until somebody works on it again, by the database's own clock."""

from dataclasses import dataclass, field

from tests.engine_lab import Lab

# Who claimed what, when: beside the lab's own account of effects.
CLAIMS = """
CREATE TABLE claims (run_id uuid, job_id uuid, stage text, shard int, attempt int, token text, at timestamptz);
CREATE FUNCTION note_claim() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO claims VALUES (new.id, new.job_id, new.stage, new.shard, new.attempt, new.token::text,
    clock_timestamp()); RETURN NULL; END $$;
CREATE TRIGGER note_claim AFTER UPDATE ON stage_runs
    FOR EACH ROW WHEN (new.status = 'running' AND old.status = 'queued') EXECUTE FUNCTION note_claim();
CREATE TABLE kills (what text, token text, at timestamptz);
"""
# How long runs were open. One that had used up its attempts and is asked for again begins another life: nobody worked
# on it between the two, and nobody was to.
AGES = """
CREATE TABLE lives (run_id uuid, job_id uuid, stage text, shard int, began timestamptz, ended timestamptz,
    opened timestamptz);
CREATE FUNCTION note_life() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO lives VALUES (old.id, old.job_id, old.stage, old.shard,
    coalesce((SELECT max(opened) FROM lives WHERE run_id = old.id), old.created_at), old.finished_at,
    clock_timestamp()); RETURN NULL; END $$;
CREATE TRIGGER note_life AFTER UPDATE ON stage_runs
    FOR EACH ROW WHEN (old.finished_at IS NOT NULL AND new.status = 'queued') EXECUTE FUNCTION note_life();
CREATE VIEW ages AS
SELECT job_id, stage, shard, extract(epoch FROM ended - began)::float AS age_s FROM lives
UNION ALL
SELECT job_id, stage, shard, extract(epoch FROM coalesce(finished_at, now())
    - coalesce((SELECT max(opened) FROM lives WHERE run_id = id), created_at))::float FROM stage_runs;
"""
# From the kill to the next claim of the same run; a run whose commit had gone through already has no next claim.
RECOVERIES = """
SELECT kills.what, extract(epoch FROM min(again.at) - kills.at)::float
FROM kills JOIN claims mine USING (token)
JOIN claims again ON again.run_id = mine.run_id AND again.attempt > mine.attempt AND again.at > kills.at
GROUP BY kills.what, kills.token, kills.at
"""


@dataclass
class Recovery:
    lab: Lab
    api_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lab.execute(CLAIMS)
        self.lab.execute(AGES)

    def note(self, what: str, tokens: list[str]) -> None:
        """Just before the blow."""
        if tokens:
            rows = ", ".join(f"('{what}', '{token}', clock_timestamp())" for token in tokens)
            self.lab.execute(f"INSERT INTO kills VALUES {rows}")

    def seconds(self) -> dict[str, list[float]]:
        """By what was killed."""
        found: dict[str, list[float]] = {}
        for what, waited_s in self.lab.execute(RECOVERIES):
            found.setdefault(what, []).append(float(waited_s))
        return found | ({"API": list(self.api_s)} if self.api_s else {})
