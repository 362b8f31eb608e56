"""A language model behind any endpoint of OpenAI's chat completions: OpenAI itself, vLLM and others by base URL."""

import json
from functools import cached_property
from importlib.metadata import version
from typing import Any

import httpx2

from shared.adapters import answering
from shared.adapters.answering import AskedModel, checked, spent
from shared.domain.errors import (
    AnswerInvalid,
    AnswerTruncated,
    ContentFiltered,
    ModelRefused,
    ProviderError,
    ProviderRejected,
    SetupError,
)
from shared.domain.transcript import Provenance
from shared.ports.language import Answer, Question, Usage

OPENAI, COMPATIBLE = "openai", "openai-compatible"  # as limits and prices know them; the other is one's own
OPENAI_URL = "https://api.openai.com/v1"  # said, so that a transcriber's OPENAI_BASE_URL is not taken for ours
PROVIDER = "The chat endpoint"
NO_CREDIT = "insufficient_quota"  # a 429 that waiting does not mend
FILTERED = "content_filter"
NO_KEY_NEEDED = "none"  # the SDK wants one; a local server does not read it


class ChatModel(AskedModel):
    """Port `LanguageModel`."""

    @cached_property
    def provenance(self) -> Provenance:
        return Provenance(
            provider=COMPATIBLE if self._settings.language_model_base_url else OPENAI,
            model=answering.model_name(self._settings),
            version=version("openai"),
            parameters=answering.parameters_of(self._settings),
        )

    def _ask_once(self, question: Question) -> Any:
        import openai

        try:
            return self._client.chat.completions.create(**self._request(question))
        except openai.APIStatusError as error:
            raise _refusal(error) from None  # its text may repeat parts of the key
        except openai.APITimeoutError as error:
            raise answering.lost(PROVIDER, type(error).__name__, timed_out=True) from None
        except (openai.APIError, httpx2.HTTPError, json.JSONDecodeError) as error:
            sent = not isinstance(error.__cause__, httpx2.ConnectError | httpx2.ConnectTimeout)
            raise answering.lost(PROVIDER, type(error).__name__, timed_out=False, sent=sent) from None

    def _request(self, question: Question) -> dict[str, Any]:
        native = self.capabilities.json_schema
        told = "" if native else "\n\n" + answering.INSTRUCTION + json.dumps(question.schema, ensure_ascii=False)
        strict = {"name": question.name, "schema": question.schema, "strict": True}
        own = {"temperature": self._settings.language_model_temperature, "seed": self._settings.language_model_seed}
        return {
            "model": answering.model_name(self._settings),
            "messages": [
                {"role": "system", "content": question.system + told},
                {"role": "user", "content": question.user},
            ],
            "max_completion_tokens": question.max_output_tokens,
            **{name: value for name, value in own.items() if value is not None},
            **({"response_format": {"type": "json_schema", "json_schema": strict}} if native else {}),
        }

    @cached_property
    def _client(self) -> Any:
        import openai

        settings = self._settings
        own = None if settings.language_model_base_url else settings.openai_api_key  # OpenAI's key is for OpenAI alone
        key = answering.first_key(settings.language_model_key, own)
        if not (key or settings.language_model_base_url):
            raise SetupError("No key for the language model: set OPENAI_API_KEY or VIBEINSIGHT_LANGUAGE_MODEL_KEY")
        return openai.OpenAI(
            api_key=key or NO_KEY_NEEDED,
            base_url=settings.language_model_base_url or OPENAI_URL,
            max_retries=0,
            timeout=settings.language_model_timeout_s,
        )

    def _usage(self, reply: Any) -> Usage:
        return _usage(reply)

    def _answer(self, reply: Any, usage: Usage) -> Answer:
        return _answer(reply, usage)


def _refusal(error: Any) -> ProviderError:
    if error.code == NO_CREDIT:
        return ProviderRejected(
            "The language model's account has no credit left: check its plan and billing", no_credit=True
        )
    if error.code == FILTERED:
        return ContentFiltered("The provider's content filter refused the transcript")
    after_s = answering.seconds(error.response.headers.get("retry-after"))
    return answering.refusal(PROVIDER, int(error.status_code), error.code, after_s)


def _answer(completion: Any, usage: Usage) -> Answer:
    try:
        message, reason = completion.choices[0].message, completion.choices[0].finish_reason
        content, refused = message.content, getattr(message, "refusal", None)
    except (AttributeError, IndexError, TypeError, KeyError):
        raise AnswerInvalid("The chat endpoint's answer holds no choice", **spent(usage)) from None
    if refused:
        raise ModelRefused("The language model refused to analyse this conversation", **spent(usage))
    if reason == FILTERED:
        raise ContentFiltered("The provider's content filter cut the answer off", **spent(usage))
    if reason == "length":
        raise AnswerTruncated("The language model's answer was cut off at its longest length", **spent(usage))
    return checked(PROVIDER, content, usage, getattr(completion, "model", None))


def _usage(completion: Any) -> Usage:
    """Zero where the endpoint does not count."""
    usage = getattr(completion, "usage", None)
    return Usage(int(usage.prompt_tokens or 0), int(usage.completion_tokens or 0)) if usage else Usage()
