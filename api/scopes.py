"""Which scope a call needs: one table, so that no route can forget to say it.

What the table does not name is for whoever administers the owner: a new route begins closed.
"""

from shared.domain.access import Scope

_READING = frozenset({"GET", "HEAD"})
_OF_JOBS = ("/v1/jobs", "/process-audio")  # to read or to write, by the method

_HOLD = "/v1/jobs/{job_id}/hold"  # who may delete jobs may not lift what keeps them

_BY_PATH = (
    ("/v1/operator", Scope.OPERATOR),
    ("/v1/uploads", Scope.UPLOADS_WRITE),
)


def scope_of(method: str, path: str) -> Scope:
    """`path` is the route's pattern."""
    if _within(path, _HOLD):
        return Scope.OWNER_ADMIN
    if any(_within(path, prefix) for prefix in _OF_JOBS):
        return Scope.JOBS_READ if method in _READING else Scope.JOBS_WRITE
    return next((scope for prefix, scope in _BY_PATH if _within(path, prefix)), Scope.OWNER_ADMIN)


def _within(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")
