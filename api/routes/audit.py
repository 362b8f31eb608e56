"""Who did what with an owner's things, for that owner."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.access_schemas import AuditOut, AuditPageOut
from api.deps import Caller, Tools
from api.openapi import problems

PAGE_ENTRIES = 50
MOST_PAGE_ENTRIES = 200

router = APIRouter(prefix="/v1/audit", tags=["audit"])


@router.get("", operation_id="listAudit", summary="Who did what, newest first", responses=problems())
def list_audit(
    caller: Caller,
    tools: Tools,
    limit: Annotated[int, Query(ge=1, le=MOST_PAGE_ENTRIES, description="Entries a page.")] = PAGE_ENTRIES,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="`next_before` of the page before.")] = None,
) -> AuditPageOut:
    """Every change and every refused try, by your keys and users and by the operator. Nobody can change an entry."""
    page = tools.ledger.audit_log(caller, limit=limit, before=before)
    return AuditPageOut(entries=[AuditOut.from_domain(row) for row in page.rows], next_before=page.next_cursor)
