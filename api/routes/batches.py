"""Many jobs in one request; and what an owner has chosen for all of theirs."""

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Response
from pydantic import BaseModel, Field, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from api.deps import Caller, IdempotencyKey, Tools
from api.errors import field_errors
from api.intake import body_hash, find_source
from api.openapi import problems
from api.schemas import JobIn, JobOut, Wire
from api.webhook_address import check_address
from shared.domain.errors import InvalidInput, VibeInsightError
from shared.domain.ids import OwnerId
from shared.domain.job import Priority
from shared.store.batches import MOST_ITEMS, Batch, BatchItem
from shared.store.preferences import OwnerPreferences
from shared.store.submit import NewJob
from shared.toolbox import Toolbox

PATH = "/v1/jobs/batch"
MAX_BYTES = 2 * 1024**2  # 500 items with a signed address each

router = APIRouter(tags=["jobs"])


class BatchItemIn(JobIn):
    idempotency_key: Annotated[
        str | None,
        Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$", description="As the header, for this item."),
    ] = None


class Refused(Wire):
    """An item that is no request for a job: it is told of in its place, and the others are taken."""

    found: str
    errors: list[dict[str, str]]


def _each_by_itself(value: object, check: ValidatorFunctionWrapHandler) -> object:
    try:
        return check(value)
    except ValidationError as error:
        return Refused(found=repr(value), errors=field_errors(error.errors()))


if TYPE_CHECKING:
    _Item = BatchItemIn | Refused
else:
    _Item = Annotated[BatchItemIn, WrapValidator(_each_by_itself)]  # described as what it should be


class BatchIn(Wire):
    items: Annotated[
        list[_Item],
        Field(min_length=1, max_length=MOST_ITEMS, description="Each becomes a job, or says why not."),
    ]
    priority: Annotated[Priority, Field(description="Of the items that name none.")] = Priority.BULK


class BatchErrorOut(BaseModel):
    code: Annotated[str, Field(description="Stable; for programs.", examples=["not_found"])]
    message: Annotated[str, Field(description="For people.")]
    errors: Annotated[list[dict[str, str]] | None, Field(description="Of invalid_input: `field` and `message`.")] = None


class BatchItemOut(BaseModel):
    index: Annotated[int, Field(description="The item's place in the request, from 0.")]
    job: Annotated[JobOut | None, Field(description="The job; null when there is none.")]
    replayed: Annotated[bool, Field(description="The job had been made by an earlier request with the same key.")]
    error: Annotated[BatchErrorOut | None, Field(description="Why there is no job.")]

    @classmethod
    def from_store(cls, index: int, item: BatchItem) -> "BatchItemOut":
        return cls(
            index=index,
            job=JobOut.from_domain(item.job) if item.job else None,
            replayed=item.job is not None and not item.fresh,
            error=BatchErrorOut(**item.error) if item.error else None,
        )


class BatchOut(BaseModel):
    accepted: Annotated[int, Field(description="Items with a job.")]
    refused: Annotated[int, Field(description="Items without.")]
    items: Annotated[list[BatchItemOut], Field(description="In the order of the request.")]


class PreferencesIO(Wire):
    dedupe: Annotated[
        bool,
        Field(description="Answer a recording that was analysed in the same way before from what was made then."),
    ] = True


@router.post(
    PATH,
    status_code=202,
    operation_id="createJobBatch",
    summary="Analyse many recordings",
    responses=problems(409, 413),
)
def create_batch(
    wanted: BatchIn,
    caller: Caller,
    tools: Tools,
    after: BackgroundTasks,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> BatchOut:
    """One transaction: every item that can be a job is one, the others say why not. 422 when none can be.

    The same `Idempotency-Key` with the same batch gives the same jobs; an item's own key holds across batches.
    """
    new = [_new_job(tools, caller, item, wanted.priority) for item in wanted.items]
    _refuse_if_all_are_refused(new)
    batch = tools.ledger.create_batch(caller, new, body_hash=_hash(wanted), idempotency_key=idempotency_key)
    return _answer(tools, batch, after, response)


def _answer(tools: Toolbox, batch: Batch, after: BackgroundTasks, response: Response) -> BatchOut:
    after.add_task(tools.doorbell.ring, batch.runs)
    if not batch.fresh:
        response.headers["Idempotency-Replayed"] = "true"
    refused = sum(item.error is not None for item in batch.items)
    items = [BatchItemOut.from_store(index, item) for index, item in enumerate(batch.items)]
    return BatchOut(accepted=len(items) - refused, refused=refused, items=items)


def _new_job(
    tools: Toolbox, owner: OwnerId, item: BatchItemIn | Refused, priority: Priority
) -> NewJob | VibeInsightError:
    if isinstance(item, Refused):
        said = "; ".join(f"{error['field']}: {error['message']}" for error in item.errors)
        return InvalidInput(said, errors=item.errors)
    try:
        source = find_source(tools, owner, item.source)
        webhook = None if item.webhook is None else check_address(tools, item.webhook)
    except VibeInsightError as error:
        return error
    return NewJob(
        source=source,
        options=item.to_options(),
        session_id=item.session_id,
        webhook=webhook,
        idempotency_key=item.idempotency_key,
        body_hash=body_hash(item),
        priority=item.priority or priority,
    )


def _refuse_if_all_are_refused(new: list[NewJob | VibeInsightError]) -> None:
    if not any(isinstance(item, NewJob) for item in new):
        errors = [
            {"field": f"items.{index}", "message": item.message}
            for index, item in enumerate(new)
            if isinstance(item, VibeInsightError)
        ]
        raise InvalidInput(
            f"None of the {len(new)} items can be a job; the first: {errors[0]['message']}", errors=errors
        )


def _hash(wanted: BatchIn) -> str:
    parts: list[Any] = [item if isinstance(item, BatchItemIn) else item.found for item in wanted.items]
    return body_hash(wanted.priority.value, *parts)


@router.get(
    "/v1/preferences", operation_id="getPreferences", summary="What you chose for all your jobs", responses=problems()
)
def get_preferences(caller: Caller, tools: Tools) -> PreferencesIO:
    return PreferencesIO(dedupe=tools.ledger.preferences(caller).dedupe)


@router.put("/v1/preferences", operation_id="putPreferences", summary="Choose for all your jobs", responses=problems())
def put_preferences(wanted: PreferencesIO, caller: Caller, tools: Tools) -> PreferencesIO:
    """It holds from the next stage on, in running jobs too."""
    tools.ledger.prefer(caller, OwnerPreferences(dedupe=wanted.dedupe))
    return wanted
