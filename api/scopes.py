"""Which scope a call needs: one table, so that no route can forget to say it.

What the table does not name needs `jobs:read` to read and `jobs:write` for everything else.
"""

from shared.domain.access import Scope

_READING = frozenset({"GET", "HEAD"})

# By the beginning of the path; the first that fits counts.
_BY_PATH = (
    ("/v1/operator", Scope.OPERATOR),
    ("/v1/uploads", Scope.UPLOADS_WRITE),
    ("/v1/keys", Scope.OWNER_ADMIN),
    ("/v1/audit", Scope.OWNER_ADMIN),
    ("/v1/owner", Scope.OWNER_ADMIN),
    ("/v1/webhooks", Scope.OWNER_ADMIN),
    ("/v1/retention", Scope.OWNER_ADMIN),
)


def scope_of(method: str, path: str) -> Scope:
    """`path` is the route's pattern."""
    for prefix, scope in _BY_PATH:
        if path == prefix or path.startswith(prefix + "/"):
            return scope
    return Scope.JOBS_READ if method in _READING else Scope.JOBS_WRITE
