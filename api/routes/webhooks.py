"""Webhooks: who is told when a job has ended, and what came of telling them."""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Path, Query

from api.deps import Caller, Tools
from api.openapi import problems
from api.webhook_address import check_address
from api.webhook_schemas import (
    EXAMPLE_DELIVERY,
    EXAMPLE_WEBHOOK,
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryPageOut,
    NewWebhookOut,
    RotateSecretIn,
    SigningSecretOut,
    WebhookChangeIn,
    WebhookIn,
    WebhookListOut,
    WebhookOut,
)
from shared.domain.webhooks import DeliveryStatus, WebhookEvent

PAGE = 50
MOST_A_PAGE = 200

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])

TheWebhook = Annotated[UUID, Path(description="The webhook's id.", examples=[EXAMPLE_WEBHOOK])]
TheDelivery = Annotated[UUID, Path(description="The delivery's id.", examples=[EXAMPLE_DELIVERY])]


@router.post("", status_code=201, operation_id="createWebhook", summary="Be told", responses=problems(409))
def create_webhook(wanted: WebhookIn, caller: Caller, tools: Tools) -> NewWebhookOut:
    """The secret is in this answer and cannot be read again. Deliveries are signed as standardwebhooks.com says."""
    url = check_address(tools, wanted.url)
    events = [WebhookEvent(event) for event in wanted.events]
    return NewWebhookOut.of(tools.ledger.create_webhook(caller, url, description=wanted.description, events=events))


@router.get("", operation_id="listWebhooks", summary="Your webhooks", responses=problems())
def list_webhooks(caller: Caller, tools: Tools) -> WebhookListOut:
    """Oldest first, paused ones too."""
    return WebhookListOut(webhooks=[WebhookOut.from_domain(found) for found in tools.ledger.list_webhooks(caller)])


@router.post(
    "/signing-secret",
    operation_id="rotateSigningSecret",
    summary="A secret for the addresses that jobs name",
    responses=problems(),
)
def rotate_signing_secret(
    caller: Caller, tools: Tools, wanted: Annotated[RotateSecretIn | None, Body()] = None
) -> SigningSecretOut:
    """Deliveries to the `webhook` of a job are signed by it. Each call makes a new one; shown once."""
    overlap = timedelta(seconds=(wanted or RotateSecretIn()).overlap_s)
    secret, until = tools.ledger.rotate_signing_secret(caller, overlap)
    return SigningSecretOut(secret=secret, previous_until=until)


@router.get("/deliveries", operation_id="listDeliveries", summary="What was told", responses=problems(404))
def list_deliveries(
    caller: Caller,
    tools: Tools,
    webhook_id: Annotated[UUID | None, Query(description="Only of this webhook.")] = None,
    status: Annotated[DeliveryStatus | None, Query(description="Only in this state.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_A_PAGE, description="Deliveries a page.")] = PAGE,
    before: Annotated[UUID | None, Query(description="`next_before` of the page before.")] = None,
) -> DeliveryPageOut:
    """Newest first, with every try. Kept for 30 days."""
    found, following = tools.ledger.list_deliveries(
        caller,
        endpoint_id=None if webhook_id is None else str(webhook_id),
        status=status,
        limit=limit,
        before=None if before is None else str(before),
    )
    return DeliveryPageOut(deliveries=[DeliveryOut.from_domain(made) for made in found], next_before=following)


@router.get("/deliveries/{delivery_id}", operation_id="getDelivery", summary="One delivery", responses=problems(404))
def get_delivery(delivery_id: TheDelivery, caller: Caller, tools: Tools) -> DeliveryDetailOut:
    """With its body."""
    return DeliveryDetailOut.with_body(*tools.ledger.get_delivery(caller, str(delivery_id)))


@router.post(
    "/deliveries/{delivery_id}/redeliver",
    status_code=202,
    operation_id="redeliver",
    summary="Tell it again",
    responses=problems(404, 409),
)
def redeliver(delivery_id: TheDelivery, caller: Caller, tools: Tools) -> DeliveryOut:
    """From the first try on, under the same `webhook-id`. 409 while its webhook is paused, or a try is under way."""
    return DeliveryOut.from_domain(tools.ledger.redeliver(caller, str(delivery_id)))


@router.get("/{webhook_id}", operation_id="getWebhook", summary="One webhook", responses=problems(404))
def get_webhook(webhook_id: TheWebhook, caller: Caller, tools: Tools) -> WebhookOut:
    return WebhookOut.from_domain(tools.ledger.get_webhook(caller, str(webhook_id)))


@router.patch("/{webhook_id}", operation_id="changeWebhook", summary="Change a webhook", responses=problems(404))
def change_webhook(webhook_id: TheWebhook, wanted: WebhookChangeIn, caller: Caller, tools: Tools) -> WebhookOut:
    """What has not been delivered yet goes to the new address too."""
    url = None if wanted.url is None else check_address(tools, wanted.url)
    events = None if wanted.events is None else [WebhookEvent(event) for event in wanted.events]
    changed = tools.ledger.change_webhook(
        caller, str(webhook_id), url=url, description=wanted.description, events=events
    )
    return WebhookOut.from_domain(changed)


@router.delete(
    "/{webhook_id}",
    status_code=204,
    operation_id="deleteWebhook",
    summary="Be told no longer",
    responses=problems(404),
)
def delete_webhook(webhook_id: TheWebhook, caller: Caller, tools: Tools) -> None:
    """With its log."""
    tools.ledger.delete_webhook(caller, str(webhook_id))


@router.post("/{webhook_id}/rotate", operation_id="rotateWebhook", summary="A new secret", responses=problems(404))
def rotate_webhook(
    webhook_id: TheWebhook, caller: Caller, tools: Tools, wanted: Annotated[RotateSecretIn | None, Body()] = None
) -> NewWebhookOut:
    """For `overlap_s` everything is signed by both secrets, so that the new one can be brought everywhere."""
    overlap = timedelta(seconds=(wanted or RotateSecretIn()).overlap_s)
    return NewWebhookOut.of(tools.ledger.rotate_webhook(caller, str(webhook_id), overlap))


@router.post("/{webhook_id}/pause", operation_id="pauseWebhook", summary="Hold deliveries", responses=problems(404))
def pause_webhook(webhook_id: TheWebhook, caller: Caller, tools: Tools) -> WebhookOut:
    """What happens in the meantime is held for up to 30 days, and sent when it is resumed."""
    return WebhookOut.from_domain(tools.ledger.pause_webhook(caller, str(webhook_id)))


@router.post(
    "/{webhook_id}/resume", operation_id="resumeWebhook", summary="Send what was held", responses=problems(404)
)
def resume_webhook(webhook_id: TheWebhook, caller: Caller, tools: Tools) -> WebhookOut:
    """Whether you paused it or we did."""
    return WebhookOut.from_domain(tools.ledger.resume_webhook(caller, str(webhook_id)))


@router.post(
    "/{webhook_id}/test",
    status_code=202,
    operation_id="testWebhook",
    summary="Send a test",
    responses=problems(404, 409),
)
def test_webhook(webhook_id: TheWebhook, caller: Caller, tools: Tools) -> DeliveryOut:
    """The event `webhook.test`, signed and tried like every other."""
    return DeliveryOut.from_domain(tools.ledger.test_webhook(caller, str(webhook_id)))
