"""Six small stages that do what a job tells them, to try the engine with: sleep, fail, kill their own process.

A job's session id is the script, as JSON: {"preprocess": {"sleep_s": 2}, "transcribe": {"fail": "provider_unavailable",
"times": 2}, "shards": 3}. An entry is for every attempt, or for the first `times`.
"""

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.domain import errors
from shared.domain.ids import JobId, OwnerId, RunId
from shared.domain.job import Job, JobOptions, JobWarning, Source, SourceKind, Stage
from shared.domain.records import Created
from shared.settings import Settings
from shared.store.runs import JobFacts, RunLedger
from shared.store.sweep import Sweep
from shared.toolbox import Toolbox
from tests import engine_deeds
from workers.context import StageContext, StageOutput, StageWork
from workers.rules import PipelineRules
from workers.runner import Runner
from workers.specs import max_attempts

AUDIO_S = 60.0
TICK_S = 0.05
ERRORS = {
    error.code: error
    for error in (
        *(errors.ProviderUnavailable, errors.ProviderPaused, errors.ProviderRejected, errors.BudgetExhausted),
        *(errors.NotAudio, errors.StorageUnavailable),
    )
}
# The oracle: one row for each time that a run became done, whoever did it.
ORACLE = """
CREATE TABLE effects (job_id uuid, stage text, shard int, attempt int);
CREATE FUNCTION note_effect() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO effects VALUES (new.job_id, new.stage, new.shard, new.attempt); RETURN NULL; END $$;
CREATE TRIGGER note_effect AFTER UPDATE ON stage_runs
    FOR EACH ROW WHEN (new.status = 'done' AND old.status <> 'done') EXECUTE FUNCTION note_effect();
"""


@dataclass(frozen=True)
class Paper:
    """What every stage of the lab leaves."""

    stage: str
    shard: int
    read: list[str]
    shards: int = 0


def told(session_id: str) -> dict[str, Any]:
    """The whole script; a `kind` stands for one that is too long for a session id."""
    said: dict[str, Any] = json.loads(session_id)
    kind = engine_deeds.KINDS[said.get("kind", "plain")]
    naps = {stage.value: {"sleep_s": said["nap_s"]} for stage in Stage} if "nap_s" in said else {}
    return naps | dict(kind) | said


def _script(context: StageContext, stage: Stage) -> dict[str, Any]:
    script = told(context.job.session_id)
    entry: dict[str, Any] = script.get(stage.value, {})
    return entry if context.attempt <= entry.get("times", 1_000) else {}


def _work(stage: Stage, context: StageContext) -> StageOutput:
    script = _script(context, stage)
    for done in range(int(script.get("sleep_s", 0) / TICK_S)):
        context.tick(AUDIO_S * done * TICK_S / script["sleep_s"])
        time.sleep(TICK_S)
    if script.get("fail") == "bug":
        raise ZeroDivisionError("a mistake of ours")
    if "fail" in script:
        raise ERRORS[script["fail"]](f"{stage} was told to fail", retry_after_s=script.get("retry_after_s"))
    if script.get("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    files = engine_deeds.do(script, context)
    read = [paper.stage for other in Stage for paper in context.read_all(other, Paper)]
    shards = told(context.job.session_id).get("shards", 2)
    if stage is Stage.TRANSCRIBE:
        read.append(context.file(Stage.PREPROCESS, "note.txt").read_text())
    note = context.workdir / "note.txt"
    note.write_text(f"{stage} {context.shard}")
    warnings = (JobWarning(script["warn"], "as told", stage),) if "warn" in script else ()
    return StageOutput(Paper(stage, context.shard, read, shards), {"note.txt": note, **files}, warnings)


def _parameters(stage: Stage, job: Job, tools: Toolbox) -> Mapping[str, object]:
    """Only what the script says of this stage, so that an equal job hits the cache; one with a `job` of its own not."""
    return {name: told(job.session_id).get(name) for name in (stage.value, "shards", "job")}


def _facts(stage: Stage, document: Mapping[str, Any]) -> JobFacts:
    if stage is Stage.DOWNLOAD:
        return JobFacts(audio_s=AUDIO_S)
    if stage is Stage.PREPROCESS:
        return JobFacts(shard_s=(AUDIO_S / max(1, document["shards"]),) * document["shards"])
    return JobFacts()


def works() -> dict[Stage, StageWork]:
    def work(stage: Stage) -> StageWork:
        content_key = (lambda document: "the same recording") if stage is Stage.DOWNLOAD else None
        return StageWork(partial(_work, stage), partial(_parameters, stage), partial(_facts, stage), content_key)

    return {stage: work(stage) for stage in Stage}


class Lab:
    """A ledger, the lab's stages and a hand on every part of the engine."""

    def __init__(self, tools: Toolbox, owner: OwnerId) -> None:
        self.tools, self.owner = tools, owner
        self.database = tools.ledger.database
        self.rules = PipelineRules(processes=2)
        self.runs = RunLedger(self.database, self.rules)
        self.sweep = Sweep(self.database, self.rules, max_attempts(tools.settings))
        self.runner = Runner(tools)
        self.works = works()
        self.execute(ORACLE)

    def job(self, script: Mapping[str, object] | None = None, **more: Any) -> Created:
        source = Source(SourceKind.URL, "https://lab.invalid/x")
        return self.tools.ledger.create_job(
            self.owner, source=source, options=JobOptions(), session_id=json.dumps(script or {}), **more
        )

    def get(self, job_id: JobId) -> Job:
        return self.tools.ledger.get_job(self.owner, job_id)

    def work_off(self, *, most: int = 40) -> int:
        """Run everything that is due, in this process, as a worker would. Returns how many runs that were."""
        count = 0
        while count < most and (due := self.due()):
            for stage, run_id in due:
                self.runner.run(run_id, self.works[stage], f"message-{count}")
                count += 1
        return count

    def due(self) -> list[tuple[Stage, RunId]]:
        """As the steward would find them."""
        self.sweep.wake()
        return self.queued()

    def queued(self) -> list[tuple[Stage, RunId]]:
        rows = self.execute(
            "SELECT stage, id::text FROM stage_runs WHERE status = 'queued' AND not_before <= now() ORDER BY created_at"
        )
        return [(Stage(stage), RunId(run_id)) for stage, run_id in rows]

    def effects(self, job_id: JobId) -> list[tuple[str, int]]:
        rows = self.execute(f"SELECT stage, shard FROM effects WHERE job_id = '{job_id}' ORDER BY stage, shard")
        return [(stage, shard) for stage, shard in rows]

    def execute(self, statement: str) -> list[Any]:
        with self.database.begin() as connection:
            done = connection.exec_driver_sql(statement)
            return list(done.all()) if done.returns_rows else []


def expected_effects(shards: int) -> list[tuple[str, int]]:
    alone = [(stage.value, 0) for stage in Stage if stage is not Stage.TRANSCRIBE]
    return sorted(alone + [(Stage.TRANSCRIBE.value, shard) for shard in range(shards)])


def environment_of(settings: Settings) -> dict[str, str]:
    """What a child process needs to use the servers and the database of these settings."""
    named = {
        "VIBEINSIGHT_DATABASE_URL": settings.database_url,
        "VIBEINSIGHT_REDIS_URL": settings.redis_url,
        "VIBEINSIGHT_S3_ACCESS_KEY": settings.s3_access_key,
        "VIBEINSIGHT_S3_SECRET_KEY": settings.s3_secret_key,
        "VIBEINSIGHT_OPENAI_API_KEY": settings.openai_api_key,
    }
    shown = {name: secret.get_secret_value() for name, secret in named.items() if secret is not None}
    plain = {
        "VIBEINSIGHT_S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
        "VIBEINSIGHT_S3_BUCKET": settings.s3_bucket,
        "VIBEINSIGHT_FETCH_ALLOW_HOSTS": json.dumps(settings.fetch_allow_hosts),
        "VIBEINSIGHT_MODEL_CACHE": str(settings.model_cache),
        "VIBEINSIGHT_RETRY_BASE_S": str(settings.retry_base_s),
        "VIBEINSIGHT_LEASE_S": str(settings.lease_s),
        "VIBEINSIGHT_BEAT_S": str(settings.beat_s),
        "VIBEINSIGHT_SOFT_LIMIT_S": str(settings.soft_limit_s),
        "VIBEINSIGHT_HARD_LIMIT_S": str(settings.hard_limit_s),
        "VIBEINSIGHT_TRANSCRIBER": settings.transcriber,
        **({"VIBEINSIGHT_OPENAI_BASE_URL": settings.openai_base_url} if settings.openai_base_url else {}),
        **({"VIBEINSIGHT_METRICS_PORT": str(settings.metrics_port)} if settings.metrics_port else {}),
    }
    return os.environ | shown | plain


def wait_for(what: str, true: Callable[[], object], deadline_s: float = 60.0) -> None:
    """Looks again and again until the deadline."""
    until = time.monotonic() + deadline_s
    while not true():
        assert time.monotonic() < until, f"waited more than {deadline_s:.0f} s for {what}"
        time.sleep(0.1)
