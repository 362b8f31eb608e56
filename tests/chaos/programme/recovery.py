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
