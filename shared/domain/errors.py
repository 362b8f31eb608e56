"""The one error tree. Each error knows its stable `code`, its `http_status` and whether a later try can help.

VibeInsightError
├── RequestError                 the caller can mend it
│   ├── InvalidInput        422  a field is missing or out of range
│   ├── Unauthorized        401  no key, or a key that is not valid
│   ├── Forbidden           403  a valid key without the right
│   ├── NotFound            404  no such row for this owner
│   ├── Conflict            409  the row is in another state, or the idempotency key names another body
│   │   └── Held                 a legal hold lies on it: nothing of it may be deleted
│   ├── Gone                410  it was there and has been deleted, as the owner's policy or somebody's word wanted
│   └── PayloadTooLarge     413  more bytes than the limit
├── MediaError              422  the recording itself is the trouble
│   ├── EmptyFile  NotAudio  NoAudioTrack  TruncatedMedia  TooShort  TooLong
│   ├── DecodeTimedOut    503  retryable: the decoder was ended at its time limit
│   └── DecoderLost       503  retryable: the decoder was killed, or the machine had no room for it
├── SourceError             422  the recording could not be fetched
│   ├── SourceRefused            the address is not one we fetch from
│   ├── SourceNotFound           the server says that it is not there
│   ├── SourceTooLarge           more bytes than the limit
│   └── SourceUnavailable   503  retryable: time-out, 5xx, connection refused
├── ProviderError           502  a model or a provider
│   ├── ProviderRejected         it will not do this; another try says the same
│   │   └── AnswerUnusable       a language model's answer that nothing can be taken from
│   │       └── ModelRefused  ContentFiltered  AnswerTruncated  AnswerInvalid
│   └── ProviderUnavailable 503  retryable: 429, 5xx, time-out
│       └── ProviderPaused       nothing was sent: its circuit is open or its limits are reached; no attempt is counted
├── LimitReached        429  the caller has used what there is for them; `retry_after_s` says when it frees
│   ├── RateLimited              too many requests
│   ├── QuotaExceeded            jobs, minutes or bytes of the owner
│   ├── Overloaded               the service has more work than it can begin soon
│   └── BudgetExhausted     402  the cap on what providers may cost
├── StorageUnavailable      503  retryable: the object store or the database does not answer
├── SetupError              500  a part of this installation is missing or broken; the message says how to mend it
└── Stopped                      control flow, never shown: leave the stage now
    ├── Cancelled                the job was cancelled
    └── Fenced                   another worker owns this run
"""


class VibeInsightError(Exception):
    """Base. `message` says what happened, to what, and what to do."""

    code = "internal_error"
    http_status = 500
    retryable = False
    counts_as_attempt = True  # False: nothing was tried, so the run's attempts are not used up by it

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class RequestError(VibeInsightError):
    code, http_status = "bad_request", 400


class InvalidInput(RequestError):
    code, http_status = "invalid_input", 422


class Unauthorized(RequestError):
    code, http_status = "unauthorized", 401


class Forbidden(RequestError):
    code, http_status = "forbidden", 403


class NotFound(RequestError):
    code, http_status = "not_found", 404


class Conflict(RequestError):
    code, http_status = "conflict", 409


class Held(Conflict):
    code = "legal_hold"


class Gone(RequestError):
    code, http_status = "gone", 410


class PayloadTooLarge(RequestError):
    code, http_status = "payload_too_large", 413


class MediaError(VibeInsightError):
    code, http_status = "media_error", 422


class EmptyFile(MediaError):
    code = "empty_file"


class NotAudio(MediaError):
    code = "not_audio"


class NoAudioTrack(MediaError):
    code = "no_audio_track"


class TruncatedMedia(MediaError):
    code = "truncated_media"


class TooShort(MediaError):
    code = "too_short"


class TooLong(MediaError):
    code = "too_long"


class DecodeTimedOut(MediaError):
    code, http_status, retryable = "decode_timed_out", 503, True


class DecoderLost(MediaError):
    code, http_status, retryable = "decoder_lost", 503, True


class SourceError(VibeInsightError):
    code, http_status = "source_error", 422


class SourceRefused(SourceError):
    code = "source_refused"


class SourceNotFound(SourceError):
    code = "source_not_found"


class SourceTooLarge(SourceError):
    code = "source_too_large"


class SourceUnavailable(SourceError):
    code, http_status, retryable = "source_unavailable", 503, True


class ProviderError(VibeInsightError):
    code, http_status = "provider_error", 502


class ProviderRejected(ProviderError):
    code = "provider_rejected"


class AnswerUnusable(ProviderRejected):
    """`details` may hold `input_tokens` and `output_tokens`: it was paid for all the same."""

    code = "answer_unusable"


class ModelRefused(AnswerUnusable):
    code = "model_refused"


class ContentFiltered(AnswerUnusable):
    code = "content_filtered"


class AnswerTruncated(AnswerUnusable):
    code = "answer_truncated"


class AnswerInvalid(AnswerUnusable):
    code = "answer_invalid"


class ProviderUnavailable(ProviderError):
    code, http_status, retryable = "provider_unavailable", 503, True


class ProviderPaused(ProviderUnavailable):
    code, counts_as_attempt = "provider_paused", False


class LimitReached(VibeInsightError):
    code, http_status = "limit_reached", 429


class RateLimited(LimitReached):
    code = "rate_limited"


class QuotaExceeded(LimitReached):
    code = "quota_exceeded"


class Overloaded(LimitReached):
    code = "overloaded"


class BudgetExhausted(LimitReached):
    code, http_status = "budget_exhausted", 402


class StorageUnavailable(VibeInsightError):
    code, http_status, retryable = "storage_unavailable", 503, True


class SetupError(VibeInsightError):
    code = "setup_error"


class Stopped(VibeInsightError):
    code = "stopped"


class Cancelled(Stopped):
    code = "cancelled"


class Fenced(Stopped):
    code = "fenced"
