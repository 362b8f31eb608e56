"""What we count, in one place. Metrics of the ledger are read from it at each scrape: workers/backlog.py.

In a service of several processes (prefork children, several uvicorn workers) each process writes to files of its own
in the folder of PROMETHEUS_MULTIPROC_DIR, and whoever is scraped adds them up: shared/observe/exposition.py. That
variable must be set before this module is imported; the services' entry points do so.
"""

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from shared.observe.slots import identity

if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
    values.ValueClass = values.MultiProcessValue(identity)  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()  # ours: libraries that count into the default one are not shown

# A stage is given back after 240 s; most of what is on the way is seconds.
SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 240, 300)
REAL_TIME = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 4)
TRIES = (1, 2, 3, 4, 5, 6)

# ---- jobs
REQUESTS = Counter(
    "audio_processing_requests",  # _total
    "Jobs by what became of them: accepted, then completed, completed_with_warnings, failed or cancelled",
    ["status"],
    registry=REGISTRY,
)
STAGE_SECONDS = Histogram(
    "audio_processing_duration_seconds",
    "Seconds that a finished run of a stage took; what came from the cache is not counted",
    ["stage"],
    buckets=SECONDS,
    registry=REGISTRY,
)

# ---- runs
CLAIMS = Counter(
    "vibeinsight_claims",
    "Messages taken: claimed, or not_due because they were copies or too early",
    ["stage", "outcome"],
    registry=REGISTRY,
)
RUNS_ENDED = Counter(
    "vibeinsight_runs_ended",
    "Attempts by how they ended: done, cached, retried, held, failed, dead, stopped",
    ["stage", "outcome"],
    registry=REGISTRY,
)
ATTEMPTS = Histogram(
    "vibeinsight_run_attempts", "Attempts that a finished run took", ["stage"], buckets=TRIES, registry=REGISTRY
)
REAL_TIME_FACTOR = Histogram(
    "vibeinsight_real_time_factor",
    "Seconds of work for a second of audio",
    ["stage"],
    buckets=REAL_TIME,
    registry=REGISTRY,
)
CHILDREN_LOST = Counter("vibeinsight_children_lost", "Worker processes that died with a run", registry=REGISTRY)
PROVIDER_ERRORS = Counter(
    "vibeinsight_provider_errors",
    "Calls of a model or a provider that failed, by our code for the failure",
    ["provider", "code"],
    registry=REGISTRY,
)

# ---- providers, as the gate before them sees it
PROVIDER_CALLS = Counter(
    "vibeinsight_provider_calls",
    "Requests of a provider by how they ended",
    ["provider", "model", "outcome"],
    registry=REGISTRY,
)
PROVIDER_HELD = Counter(
    "vibeinsight_provider_held", "Requests not made, by reason", ["provider", "reason"], registry=REGISTRY
)
PROVIDER_OPENED = Counter(
    "vibeinsight_provider_opened", "Times that a provider's circuit opened", ["provider"], registry=REGISTRY
)

# ---- the steward
LEASE_EXPIRIES = Counter(
    "vibeinsight_lease_expiries", "Runs whose worker was gone, put back by the steward", ["stage"], registry=REGISTRY
)
BURIED = Counter("vibeinsight_buried", "Runs that took their worker with them at every attempt", registry=REGISTRY)
ROUND_SECONDS = Histogram(
    "vibeinsight_steward_round_seconds",
    "What one round of the steward took",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)
ROUND_FAILURES = Counter("vibeinsight_steward_round_failures", "Rounds that ended with an error", registry=REGISTRY)

# ---- the edge
HTTP_REQUESTS = Counter(
    "vibeinsight_http_requests", "Requests answered", ["method", "route", "status"], registry=REGISTRY
)
HTTP_SECONDS = Histogram(
    "vibeinsight_http_response_start_seconds",
    "Seconds until the answer began (a stream's length says nothing)",
    ["method", "route"],
    registry=REGISTRY,
)
STREAMS = Gauge("vibeinsight_event_streams", "Event streams open now", registry=REGISTRY, multiprocess_mode="livesum")
