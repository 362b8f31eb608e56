"""A language model by Google's Gemini API, through `google-genai`."""

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
    SetupError,
)
from shared.domain.transcript import Provenance
from shared.ports.language import Answer, Question, Usage

PROVIDER = "Gemini"
# Why a candidate ended, beside STOP and MAX_TOKENS: a filter's words, and those of the model itself.
FILTERED = ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR")
ENDED_WELL = ("STOP", "FINISH_REASON_UNSPECIFIED")


class GeminiModel(AskedModel):
    """Port `LanguageModel`."""

    @cached_property
    def provenance(self) -> Provenance:
        return Provenance(
            provider="gemini",
            model=answering.model_name(self._settings),
            version=version("google-genai"),
            parameters=answering.parameters_of(self._settings),
        )

    def _ask_once(self, question: Question) -> Any:
        from google.genai import errors

        try:
            return self._client.models.generate_content(
                model=answering.model_name(self._settings), contents=question.user, config=self._config(question)
            )
        except errors.APIError as error:
            raise _refusal(error) from None  # its text may repeat parts of the key
        except httpx2.TimeoutException as error:
            raise answering.lost(PROVIDER, type(error).__name__, timed_out=True) from None
        except (httpx2.HTTPError, ValueError) as error:  # ValueError: an answer that is no JSON, or not of this shape
            sent = not isinstance(error, httpx2.ConnectError)
            raise answering.lost(PROVIDER, type(error).__name__, timed_out=False, sent=sent) from None

    def _config(self, question: Question) -> Any:
        from google.genai import types

        native, thinking = self.capabilities.json_schema, self._settings.language_model_thinking_tokens
        told = "" if native else "\n\n" + answering.INSTRUCTION + json.dumps(question.schema, ensure_ascii=False)
        return types.GenerateContentConfig(
            system_instruction=question.system + told,
            temperature=self._settings.language_model_temperature,
            seed=self._settings.language_model_seed,
            max_output_tokens=question.max_output_tokens,
            candidate_count=1,
            response_mime_type="application/json",
            response_json_schema=dict(question.schema) if native else None,
            thinking_config=None if thinking is None else types.ThinkingConfig(thinking_budget=thinking),
        )

    @cached_property
    def _client(self) -> Any:
        from google import genai
        from google.genai import types

        settings = self._settings
        key = answering.first_key(settings.language_model_key, settings.gemini_api_key)
        if not key:
            raise SetupError("No key for Gemini: set GEMINI_API_KEY or VIBEINSIGHT_LANGUAGE_MODEL_KEY")
        options = types.HttpOptions(
            base_url=settings.language_model_base_url or None,
            timeout=round(settings.language_model_timeout_s * 1000),
            retry_options=types.HttpRetryOptions(attempts=1),
        )
        return genai.Client(api_key=key, vertexai=False, http_options=options)

    def _usage(self, reply: Any) -> Usage:
        return _usage(reply)

    def _answer(self, reply: Any, usage: Usage) -> Answer:
        return _answer(reply, usage)


def _refusal(error: Any) -> ProviderError:
    headers = getattr(error.response, "headers", {}) or {}
    after_s = answering.seconds(headers.get("retry-after"))
    asked_s = _retry_delay_s(error.details) if after_s is None else after_s
    return answering.refusal(PROVIDER, int(error.code), error.status, asked_s)


def _retry_delay_s(details: Any) -> float | None:
    """Gemini's own form of Retry-After: {"@type": ".../google.rpc.RetryInfo", "retryDelay": "34s"}."""
    try:
        found = [item["retryDelay"] for item in details["error"]["details"] if "retryDelay" in item]
        return float(str(found[0]).removesuffix("s"))
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def _answer(reply: Any, usage: Usage) -> Answer:
    blocked = getattr(reply.prompt_feedback, "block_reason", None)
    if blocked:
        raise ContentFiltered(f"Gemini's filter refused the transcript ({_word(blocked)})", **spent(usage))
    if not reply.candidates:
        raise AnswerInvalid("Gemini's answer holds no candidate", **spent(usage))
    reason = _word(reply.candidates[0].finish_reason)
    if reason in FILTERED:
        raise ContentFiltered(f"Gemini's filter cut the answer off ({reason})", **spent(usage))
    if reason == "MAX_TOKENS":
        raise AnswerTruncated("Gemini's answer was cut off at its longest length", **spent(usage))
    if reason and reason not in ENDED_WELL:
        raise ModelRefused(f"Gemini did not finish its answer ({reason})", **spent(usage))
    return checked(PROVIDER, _text(reply.candidates[0]), usage, reply.model_version)


def _text(candidate: Any) -> str:
    """The answer without the parts that are thinking."""
    parts = (candidate.content.parts if candidate.content else None) or []
    return "".join(part.text for part in parts if part.text and not part.thought)


def _word(value: Any) -> str:
    return str(getattr(value, "value", value) or "")


def _usage(reply: Any) -> Usage:
    found = reply.usage_metadata
    if not found:
        return Usage()
    answered = (found.candidates_token_count or 0) + (found.thoughts_token_count or 0)
    return Usage(found.prompt_token_count or 0, answered)
