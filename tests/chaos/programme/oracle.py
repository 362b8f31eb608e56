"""The one oracle: what must be true of the ledger and of the object store when the storm is over."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.settings import Settings
from tests.chaos.programme.world import World
from tests.engine_lab import Lab
from workers.specs import max_attempts

SHOWN = 5  # of what is wrong
SUCCEEDED = "status IN ('completed', 'completed_with_warnings')"
OWED = ("download", "preprocess", "analyze", "synthesize")


@dataclass(frozen=True)
class Verdict:
    """`wrong`: what breaks the rule; none means that it holds. `seen`: how much was looked at."""

    rule: str
    seen: int
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.wrong


@dataclass(frozen=True)
class Evidence:
    """All that the rules judge by."""

    lab: Lab
    settings: Settings
    taken: Mapping[str, str]
    refused: list[str]
    objects: Mapping[str, int]  # key -> bytes
    strays: list[str]
    bound_s: float


def judge(evidence: Evidence) -> list[Verdict]:
    return [rule(evidence) for rule in RULES]


def every_job_ends(evidence: Evidence) -> Verdict:
    rows = evidence.lab.execute("SELECT id::text, status, error::text FROM jobs")
    wrong = [f"{job} is {status} {error or ''}" for job, status, error in rows if not status.startswith("completed")]
    return _verdict("every job ends, and well", rows, wrong)


def one_effect_each(evidence: Evidence) -> Verdict:
    counted = "SELECT job_id::text, stage, shard, count(*) FROM effects GROUP BY 1, 2, 3"
    rows = evidence.lab.execute(counted)
    return _verdict("no stage or shard has two effects", rows, [f"{row}" for row in rows if row[3] != 1])


def no_effect_missing(evidence: Evidence) -> Verdict:
    """Every stage of a job that succeeded, and every shard, has left its effect; diarize may have been given up."""
    jobs = evidence.lab.execute(
        f"SELECT id::text, coalesce(jsonb_array_length(shard_s), 0) FROM jobs WHERE {SUCCEEDED}"
    )
    made = {(job, stage, shard) for job, stage, shard in _effects(evidence.lab)}
    given_up = {job for (job,) in evidence.lab.execute("SELECT job_id::text FROM stage_runs WHERE status = 'dead'")}
    owed = [(job, stage, 0) for job, _ in jobs for stage in OWED]
    owed += [(job, "transcribe", shard) for job, shards in jobs for shard in range(shards)]
    owed += [(job, "diarize", 0) for job, _ in jobs if job not in given_up]
    return _verdict("no stage or shard is missing", owed, [f"{one}" for one in owed if one not in made])


def taken_once(evidence: Evidence) -> Verdict:
    """A client that asked again and again with one key has one job, and the job that it was told of."""
    rows = evidence.lab.execute("SELECT idempotency_key, id::text FROM jobs WHERE idempotency_key IS NOT NULL")
    known = dict(rows)
    wrong = [
        f"{key} -> {job}, in the ledger {known.get(key)}"
        for key, job in evidence.taken.items()
        if known.get(key) != job
    ]
    wrong += [f"{key} was never taken" for key in known if key not in evidence.taken]
    return _verdict("every submission is one job", rows, wrong + evidence.refused)


def no_orphan(evidence: Evidence) -> Verdict:
    kept = _kept(evidence.lab)
    ours = [key for key in evidence.objects if key.startswith("jobs/")]
    return _verdict("no object is orphaned", ours, [key for key in ours if key not in kept])


def no_object_missing(evidence: Evidence) -> Verdict:
    kept = _kept(evidence.lab)
    wrong = [
        f"{key}: {evidence.objects.get(key)} bytes of {size}"
        for key, size in kept.items()
        if evidence.objects.get(key) != size
    ]
    return _verdict("no object is missing or short", list(kept), wrong)


def nobody_waits_too_long(evidence: Evidence) -> Verdict:
    rows = evidence.lab.execute("SELECT job_id::text, stage, shard, age_s FROM ages")
    return _verdict(
        f"no run is older than {evidence.bound_s:.0f} s", rows, [f"{row}" for row in rows if row[3] > evidence.bound_s]
    )


def attempts_are_counted(evidence: Evidence) -> Verdict:
    """At the claim, so that poison cannot hide; and never more than a stage has."""
    most = {stage.value: number for stage, number in max_attempts(evidence.settings).items()}
    counted = (
        "SELECT r.id::text, r.stage, r.attempt, count(c.run_id) FROM stage_runs r LEFT JOIN claims c ON c.run_id = r.id"
    )
    rows = evidence.lab.execute(f"{counted} GROUP BY r.id")
    wrong = [f"{row}" for row in rows if row[2] > most[row[1]] or row[2] > row[3]]
    return _verdict("every attempt is counted, none is one too many", rows, wrong)


def results_are_there(evidence: Evidence) -> Verdict:
    missing = f"SELECT id::text FROM jobs WHERE {SUCCEEDED} AND id NOT IN (SELECT job_id FROM results)"
    jobs = evidence.lab.execute(f"SELECT id FROM jobs WHERE {SUCCEEDED}")
    return _verdict("every finished job has its result", jobs, [f"{row[0]}" for row in evidence.lab.execute(missing)])


def nothing_runs_on(evidence: Evidence) -> Verdict:
    return _verdict("no decoder outlives its worker", evidence.strays, evidence.strays)


RULES: tuple[Callable[[Evidence], Verdict], ...] = (
    every_job_ends,
    one_effect_each,
    no_effect_missing,
    taken_once,
    results_are_there,
    no_object_missing,
    no_orphan,
    nobody_waits_too_long,
    attempts_are_counted,
    nothing_runs_on,
)


def gather(world: World, *, taken: Mapping[str, str], refused: list[str], bound_s: float) -> Evidence:
    settings = world.lab.tools.settings
    return Evidence(world.lab, settings, taken, refused, stored(settings), world.crew.strays(), bound_s)


def stored(settings: Settings) -> dict[str, int]:
    """Every object in the bucket, past the proxy."""
    import boto3
    from botocore.config import Config

    assert settings.s3_access_key is not None
    assert settings.s3_secret_key is not None
    client: Any = boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint_url,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(s3={"addressing_style": "path"}, proxies={}),
    )
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=settings.s3_bucket)
    return {entry["Key"]: entry["Size"] for page in pages for entry in page.get("Contents", [])}


def ended(lab: Lab) -> bool:
    return not lab.execute("SELECT 1 FROM jobs WHERE status IN ('queued', 'running') LIMIT 1")


def _effects(lab: Lab) -> list[Any]:
    return lab.execute("SELECT DISTINCT job_id::text, stage, shard FROM effects")


def _kept(lab: Lab) -> dict[str, int]:
    entries = "SELECT file->>'key', (file->>'bytes')::bigint FROM artefacts, jsonb_array_elements(files) AS file"
    return {key: int(size) for key, size in lab.execute(entries)}


def _verdict(rule: str, seen: object, wrong: list[str]) -> Verdict:
    shown = tuple(wrong[:SHOWN]) + ((f"… and {len(wrong) - SHOWN} more",) if len(wrong) > SHOWN else ())
    return Verdict(rule, len(seen), shown)  # type: ignore[arg-type]
