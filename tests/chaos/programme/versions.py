"""A deploy under way: messages and rows that another version of ours has written."""

import json
from uuid import uuid4

from celery import Celery

from shared.domain.errors import StorageUnavailable
from shared.domain.job import Stage
from shared.queue.names import queue_name, task_name
from shared.queue.transport import broker_url, queues, transport_options
from tests.chaos.programme.blows import Missed, Strike

# What the first schema's version wrote: every column that came later must do without it.
OLD_JOB = """
WITH job AS (
    INSERT INTO jobs (owner_id, session_id, source, options) VALUES ('{owner}', '{session}',
        '{{"kind": "url", "value": "https://lab.invalid/x", "filename": null}}',
        '{{"language": null, "report_language": null, "speakers": 2, "roles": [], "denoise": false,
           "spoken_summary": true, "on_behalf_of": null}}')
    RETURNING id)
INSERT INTO stage_runs (job_id, stage, shard) SELECT id, 'download', 0 FROM job RETURNING job_id::text
"""


def strange_messages(strike: Strike) -> None:
    """A task, a field and an encoding that this version does not know, and a field too few; each in every queue."""
    settings = strike.world.lab.tools.settings
    with Celery("another-version", broker=broker_url(settings), set_as_current=False) as app:
        app.conf.update(task_queues=queues(), broker_transport_options=transport_options(), task_ignore_result=True)
        try:
            for stage in Stage:
                _send_strange(app, stage, _some_run(strike, stage))
        except (OSError, app.connection().connection_errors) as error:
            raise Missed from error


def _send_strange(app: Celery, stage: Stage, run_id: str) -> None:
    queue, name = queue_name(stage), task_name(stage)
    app.send_task(f"{name}.v2", kwargs={"run_id": run_id}, queue=queue)
    app.send_task(name, kwargs={"run_id": run_id, "priority": 5, "trace": {"traceparent": "00-x"}}, queue=queue)
    app.send_task(name, kwargs={}, queue=queue)
    app.send_task(name, kwargs={"run_id": "not-a-run"}, queue=queue)
    app.send_task(name, kwargs={"run_id": run_id}, queue=queue, serializer="pickle")


def _some_run(strike: Strike, stage: Stage) -> str:
    rows = strike.world.lab.execute(
        f"SELECT id::text FROM stage_runs WHERE stage = '{stage}' ORDER BY random() LIMIT 1"
    )
    return str(rows[0][0]) if rows else str(uuid4())


def old_rows(strike: Strike) -> None:
    """A job in the shape of the first schema, and nobody rings it."""
    session = json.dumps({"kind": "plain", "nap_s": 0.2, "job": f"old-{uuid4()}"})
    try:
        strike.world.lab.execute(OLD_JOB.format(owner=strike.world.lab.owner, session=session))
    except StorageUnavailable:
        raise
    except Exception as error:  # whatever the driver says of a column that an older version does not know
        strike.complaints.append(f"an older version cannot write a job: {str(error).splitlines()[0]}")
