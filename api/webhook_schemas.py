"""The wire of webhooks: endpoints, secrets, the log of deliveries."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field

from api.schemas import MAX_URL_CHARS, PlainText, Wire
from shared.domain.webhooks import Delivery, DeliveryStatus, Endpoint, NewEndpoint, Try, WebhookEvent

EXAMPLE_WEBHOOK = "9f0c3a1c-4f43-4f0e-9a51-5d1f6a3f7f30"
EXAMPLE_DELIVERY = "2b7d9a1c-8a0f-4a3e-8a6e-2f4b8a6c9d40"
OVERLAP_S = 86_400
MOST_OVERLAP_S = 30 * 86_400

JobEvent = Literal["job.completed", "job.failed", "job.cancelled"]
Address = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_URL_CHARS,
        description="An https address in the open internet.",
        examples=["https://example.com/hooks/vibeinsight"],
    ),
]
Description = Annotated[str, Field(max_length=200, description="What it is for."), PlainText]
Events = Annotated[
    tuple[JobEvent, ...],
    Field(max_length=10, description="Which events to send; empty: all of them.", examples=[["job.completed"]]),
]


class WebhookIn(Wire):
    """Somebody to tell."""

    url: Address
    description: Description = ""
    events: Events = ()


class WebhookChangeIn(Wire):
    """What is to be otherwise; what is left out stays."""

    url: Address | None = None
    description: Description | None = None
    events: Events | None = None


class RotateSecretIn(Wire):
    """How a rotation is done."""

    overlap_s: Annotated[
        int, Field(ge=0, le=MOST_OVERLAP_S, description="How long to sign by the old secret too, in seconds.")
    ] = OVERLAP_S


class WebhookOut(Wire):
    """An endpoint as it can be read: without its secret."""

    id: Annotated[str, Field(description="The webhook's id.", examples=[EXAMPLE_WEBHOOK])]
    url: Annotated[str, Field(description="Where deliveries go.")]
    description: Annotated[str, Field(description="What it is for.")]
    events: Annotated[list[WebhookEvent], Field(description="Which events are sent; empty: all of them.")]
    previous_until: Annotated[datetime | None, Field(description="Until then the secret before signs too.")]
    failing_since: Annotated[datetime | None, Field(description="Nothing has arrived since then; null: all is well.")]
    paused_at: Annotated[datetime | None, Field(description="Since then deliveries are held; null: they are sent.")]
    pause_reason: Annotated[str | None, Field(description="Who or what paused it.")]
    created_at: Annotated[datetime, Field(description="When it was made.")]

    @classmethod
    def from_domain(cls, endpoint: Endpoint) -> Self:
        plain = {name: getattr(endpoint, name) for name in WebhookOut.model_fields if name != "events"}
        return cls(**plain, events=list(endpoint.events))


class NewWebhookOut(WebhookOut):
    """With the secret: the one moment in which it can be read."""

    secret: Annotated[str, Field(description="Keep it: it is not shown again.", examples=["whsec_…"])]

    @classmethod
    def of(cls, made: NewEndpoint) -> Self:
        return cls(**WebhookOut.from_domain(made.endpoint).model_dump(), secret=made.secret)


class WebhookListOut(Wire):
    """All endpoints of an owner."""

    webhooks: Annotated[list[WebhookOut], Field(description="Oldest first.")]


class SigningSecretOut(Wire):
    """By which deliveries to addresses named in jobs are signed."""

    secret: Annotated[str, Field(description="Keep it: it is not shown again.", examples=["whsec_…"])]
    previous_until: Annotated[datetime, Field(description="Until then the secret before signs too.")]


class TryOut(Wire):
    """One try of a delivery."""

    at: Annotated[datetime, Field(description="When.")]
    status: Annotated[int | None, Field(description="Of the receiver's answer; null: there was none.")]
    error: Annotated[
        str | None,
        Field(
            description="null: accepted; else refused_by_receiver, receiver_failed, redirected, timed_out, "
            "no_connection, no_such_host or address_refused."
        ),
    ]
    took_ms: Annotated[int, Field(description="How long it took.")]

    @classmethod
    def from_domain(cls, tried: Try) -> Self:
        return cls(at=tried.at, status=tried.status, error=tried.error, took_ms=tried.took_ms)


class DeliveryOut(Wire):
    """A line of the log."""

    id: Annotated[str, Field(description="Sent as `webhook-id` at every try.", examples=[EXAMPLE_DELIVERY])]
    webhook_id: Annotated[str, Field(description="Whose it is; one no list has is that of addresses named in jobs.")]
    job_id: Annotated[str | None, Field(description="What it tells of.")]
    event: Annotated[WebhookEvent, Field(description="What it tells.")]
    url: Annotated[str, Field(description="Where it goes.")]
    status: Annotated[
        DeliveryStatus, Field(description="pending; held while its webhook is paused; delivered; failed for good.")
    ]
    attempt: Annotated[int, Field(description="Tries so far, since it was last begun.")]
    due_at: Annotated[datetime | None, Field(description="When it is tried next; null: not at all.")]
    tries: Annotated[list[TryOut], Field(description="The newest twenty, oldest first.")]
    created_at: Annotated[datetime, Field(description="When it happened.")]
    finished_at: Annotated[datetime | None, Field(description="When it was delivered or given up.")]

    @classmethod
    def from_domain(cls, made: Delivery) -> Self:
        return cls(
            id=made.id,
            webhook_id=made.endpoint_id,
            job_id=made.job_id,
            event=made.event,
            url=made.url,
            status=made.status,
            attempt=made.attempt,
            due_at=made.due_at,
            tries=[TryOut.from_domain(tried) for tried in made.tries],
            created_at=made.created_at,
            finished_at=made.finished_at,
        )


class DeliveryDetailOut(DeliveryOut):
    """With what is sent."""

    body: Annotated[str, Field(description="Byte for byte what is signed and sent.")]

    @classmethod
    def with_body(cls, made: Delivery, body: str) -> Self:
        return cls(**DeliveryOut.from_domain(made).model_dump(), body=body)


class DeliveryPageOut(Wire):
    """A page of the log."""

    deliveries: Annotated[list[DeliveryOut], Field(description="Newest first.")]
    next_before: Annotated[str | None, Field(description="Give it as `before` for the next page; null: the last.")]
