"""The port `LanguageModel` over both adapters: the vendors' own SDKs against a server of their wire formats."""

import json
import threading
from typing import Any

import pytest
from pydantic import SecretStr

from shared.adapters.answering import LONGEST_ANSWER, Patience
from shared.adapters.chat import ChatModel
from shared.adapters.gemini import GeminiModel
from shared.domain.errors import (
    AnswerInvalid,
    AnswerTruncated,
    BudgetExhausted,
    ContentFiltered,
    ModelRefused,
    ProviderError,
    ProviderPaused,
    ProviderRejected,
    ProviderUnavailable,
    SetupError,
)
from shared.ports.language import LanguageModel, Question
from shared.ports.provider import Units
from shared.settings import Settings
from shared.toolbox import Toolbox
from tests.language_server import ADAPTERS, MODEL, LanguageServer, Reply, serving

pytestmark = pytest.mark.contract

SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "integer"}},
    "required": ["score"],
    "additionalProperties": False,
}
QUESTION = Question("judge", "Follow these instructions.", "This is data.", SCHEMA, 500)
GOOD = '{"score": 4}'
both = pytest.mark.parametrize("provider", ["gemini", "openai"])


def _model(server: LanguageServer, provider: str, **more: Any) -> LanguageModel:
    """The one over this server, or a new one of other settings."""
    patience = Patience(sleep=server.waited.append)
    made = ADAPTERS[provider](server.settings(provider, **more), patience=patience) if more else None
    return made or server.adapters[provider]


def _fails(server: LanguageServer, reply: Reply, provider: str, **more: Any) -> ProviderError:
    server.model = lambda asked: reply
    with pytest.raises(ProviderError) as caught:
        _model(server, provider, **more).ask(QUESTION)
    return caught.value


@both
def test_a_question_and_its_answer(server: LanguageServer, provider: str) -> None:
    """Instructions and data travel apart, with schema, seed, temperature and length; tokens and version come back."""
    server.model = lambda asked: GOOD
    model = _model(server, provider)
    answer = model.ask(QUESTION)
    asked = server.asked[0]
    assert answer.text == GOOD
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1000, 200)
    assert answer.version is not None
    assert answer.version.startswith(MODEL)
    assert (asked.system, asked.user, asked.schema) == (QUESTION.system, QUESTION.user, SCHEMA)
    sent = asked.body.get("generationConfig", asked.body)
    assert (sent["temperature"], sent["seed"]) == (0.0, 1)
    assert 500 in (sent.get("maxOutputTokens"), sent.get("max_completion_tokens"))
    assert asked.key.endswith("a-key")


@both
def test_instructed_schema(server: LanguageServer, provider: str) -> None:
    """A server without schemas is told the schema in words, and a model without temperature is sent none."""
    server.model = lambda asked: GOOD
    more = {"language_model_schema": "instructed", "language_model_temperature": None, "language_model_seed": None}
    _model(server, provider, **more).ask(QUESTION)
    asked = server.asked[0]
    assert asked.schema == {}
    assert json.dumps(SCHEMA) in asked.system
    assert not {"temperature", "seed"} & set(asked.body.get("generationConfig", asked.body))


@both
def test_retry_after_is_waited_for(server: LanguageServer, provider: str) -> None:
    """A 429 with a short Retry-After is tried again after just that time."""
    replies = iter([Reply(status=429, headers={"Retry-After": "7"}), Reply(GOOD)])
    server.model = lambda asked: next(replies)
    assert _model(server, provider).ask(QUESTION).text == GOOD
    assert server.waited == [7.0]


@both
def test_long_retry_after_is_left_to_the_ledger(server: LanguageServer, provider: str) -> None:
    """Asked to wait longer than a worker should, the error carries the time and nothing is tried again."""
    server.model = lambda asked: Reply(status=429, headers={"Retry-After": "120"})
    with pytest.raises(ProviderUnavailable) as caught:
        _model(server, provider).ask(QUESTION)
    assert len(server.asked) == 1
    assert caught.value.details["retry_after_s"] == 120.0
    assert caught.value.retryable


def test_gemini_says_in_the_body_how_long_to_wait(server: LanguageServer) -> None:
    """google.rpc.RetryInfo stands in for the header."""
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}
    body = {"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED", "details": [info]}}
    error = _fails(server, Reply(status=429, body=json.dumps(body).encode()), "gemini")
    assert error.details["retry_after_s"] == 34.0


@both
@pytest.mark.parametrize("status", [500, 503, 529])
def test_server_errors_may_pass(server: LanguageServer, provider: str, status: int) -> None:
    """Tried twice in the call, without the SDK's own retries on top, then left to the ledger."""
    server.model = lambda asked: Reply(status=status)
    with pytest.raises(ProviderUnavailable):
        _model(server, provider).ask(QUESTION)
    assert len(server.asked) == 2


@both
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_is_refused_is_not_tried_again(server: LanguageServer, provider: str, status: int) -> None:
    """The key, and whatever the provider repeats of it, stays out of the message."""
    server.model = lambda asked: Reply(status=status)
    with pytest.raises(ProviderRejected) as caught:
        _model(server, provider).ask(QUESTION)
    assert len(server.asked) == 1
    assert "a-key" not in caught.value.message
    assert str(status) in caught.value.message
    assert not caught.value.retryable


@both
def test_a_hang_ends_at_the_time_limit(server: LanguageServer, provider: str) -> None:
    """One try only: a second would need as long again."""
    never = threading.Event()
    server.model = lambda asked: Reply(GOOD, hold=never)
    with pytest.raises(ProviderUnavailable):
        _model(server, provider, language_model_timeout_s=0.3).ask(QUESTION)
    never.set()
    assert len(server.asked) == 1


@both
def test_nobody_there(provider: str) -> None:
    """A closed port may open later, and nothing can be on the bill."""
    with serving(lambda asked: GOOD) as gone:
        pass
    settings = gone.settings(provider)
    with pytest.raises(ProviderUnavailable) as caught:
        ADAPTERS[provider](settings, patience=Patience(sleep=gone.waited.append)).ask(QUESTION)
    assert caught.value.details["sent"] is False


@both
def test_cut_off(server: LanguageServer, provider: str) -> None:
    """An answer that reached its longest length is not read at all; its tokens are known."""
    error = _fails(
        server, Reply('{"score": 4, "rat', ended="length" if provider == "openai" else "MAX_TOKENS"), provider
    )
    assert isinstance(error, AnswerTruncated)
    assert error.details == {"input_tokens": 1000, "output_tokens": 200}


def test_refusal(server: LanguageServer) -> None:
    """OpenAI says so in a field of its own."""
    assert isinstance(_fails(server, Reply(None, refusal="I can't help with that."), "openai"), ModelRefused)


@both
def test_filtered(server: LanguageServer, provider: str) -> None:
    """A filter that cut the answer off is told from a refusal."""
    ended = "content_filter" if provider == "openai" else "SAFETY"
    assert isinstance(_fails(server, Reply("{", ended=ended), provider), ContentFiltered)


def test_gemini_blocks_the_question(server: LanguageServer) -> None:
    """No candidate, but a reason."""
    error = _fails(server, Reply(blocked="PROHIBITED_CONTENT"), "gemini")
    assert isinstance(error, ContentFiltered)
    assert "PROHIBITED_CONTENT" in error.message


def test_gemini_ends_in_its_own_way(server: LanguageServer) -> None:
    """Any other end is no answer, also one that this SDK has not heard of."""
    assert isinstance(_fails(server, Reply("{}", ended="LANGUAGE"), "gemini"), ModelRefused)


@both
@pytest.mark.parametrize("reply", [Reply(empty=True), Reply(""), Reply("   "), Reply("x" * (LONGEST_ANSWER + 1))])
def test_answers_that_are_none(server: LanguageServer, provider: str, reply: Reply) -> None:
    """No choice, no text, or far more than was asked for."""
    assert isinstance(_fails(server, reply, provider), AnswerInvalid)


@both
@pytest.mark.parametrize("body", [b"<html>proxy</html>", b"[1, 2]", b'{"choices": 3}', b""])
def test_bodies_of_another_shape(server: LanguageServer, provider: str, body: bytes) -> None:
    """A proxy's page or another service's JSON never gets out as the SDK's own exception."""
    assert isinstance(_fails(server, Reply(body=body), provider), ProviderUnavailable | AnswerInvalid)


def test_no_credit_is_final(server: LanguageServer) -> None:
    """OpenAI's 429 for an empty account is not worth waiting for."""
    body = {"error": {"message": "quota", "type": "insufficient_quota", "param": None, "code": "insufficient_quota"}}
    error = _fails(server, Reply(status=429, body=json.dumps(body).encode()), "openai")
    assert isinstance(error, ProviderRejected)
    assert error.details["no_credit"] is True


def test_a_filter_before_the_model(server: LanguageServer) -> None:
    """Azure's filter answers 400 with a code of its own."""
    body = {"error": {"message": "filtered", "type": None, "param": "prompt", "code": "content_filter"}}
    assert isinstance(_fails(server, Reply(status=400, body=json.dumps(body).encode()), "openai"), ContentFiltered)


class Gate:
    """Writes down what it is told, and can be shut."""

    def __init__(self, shut: Exception | None = None) -> None:
        self.shut = shut
        self.calls: list[tuple[str, str, Units]] = []
        self.counted: list[Units] = []

    def call(self, provider: str, model: str, expected: Units) -> "Gate":
        self.calls.append((provider, model, expected))
        return self

    def __enter__(self) -> "Gate":
        if self.shut:
            raise self.shut
        return self

    def __exit__(self, *failure: object) -> None:
        return None

    def used(self, units: Units) -> None:
        self.counted.append(units)


@both
def test_every_try_goes_through_the_gate(server: LanguageServer, provider: str) -> None:
    """With an upper estimate before, and the provider's own count after."""
    gate, replies = Gate(), iter([Reply(status=500), Reply(GOOD)])
    server.model = lambda asked: next(replies)
    ADAPTERS[provider](server.settings(provider), gate, Patience(sleep=server.waited.append)).ask(QUESTION)
    names = {"gemini": "gemini", "openai": "openai-compatible"}
    assert [(who, model) for who, model, _ in gate.calls] == [(names[provider], MODEL)] * 2
    assert gate.calls[0][2].tokens_out == 500
    assert gate.counted == [Units(tokens_in=1000, tokens_out=200)]


@both
@pytest.mark.parametrize("shut", [ProviderPaused("later", retry_after_s=1.0), BudgetExhausted("no money")])
def test_a_closed_gate_is_not_knocked_at_again(server: LanguageServer, provider: str, shut: Exception) -> None:
    """Nothing is sent, nothing is waited for."""
    server.model = lambda asked: GOOD
    model = ADAPTERS[provider](server.settings(provider), Gate(shut), Patience(sleep=server.waited.append))
    with pytest.raises(type(shut)):
        model.ask(QUESTION)
    assert (server.asked, server.waited) == ([], [])


@pytest.fixture
def nowhere() -> Settings:
    """Settings of a machine without any key."""
    return Settings(openai_api_key=None, gemini_api_key=None, language_model_name=MODEL)


def test_what_is_missing_is_named(nowhere: Settings) -> None:
    """No key, no name of a model, an unknown provider: each says which setting to set."""
    empty = nowhere.model_copy(update={"openai_api_key": SecretStr(""), "language_model_base_url": ""})
    for model in (GeminiModel(nowhere), ChatModel(nowhere), ChatModel(empty)):
        with pytest.raises(SetupError, match="_API_KEY"):
            model.ask(QUESTION)
    with pytest.raises(SetupError, match="LANGUAGE_MODEL_NAME"):
        _ = GeminiModel(nowhere.model_copy(update={"language_model_name": None})).provenance
    with pytest.raises(SetupError, match="none, gemini or openai"):
        _ = Toolbox(nowhere.model_copy(update={"language_model": "magic"})).language_model
    assert Toolbox(nowhere).language_model is None


def test_openais_key_is_for_openai_alone(server: LanguageServer) -> None:
    """Another server is asked without it, also where a transcriber of OpenAI has one."""
    server.model = lambda asked: GOOD
    settings = server.settings("openai").model_copy(
        update={"language_model_key": None, "openai_api_key": SecretStr("sk-of-openai")}
    )
    ChatModel(settings).ask(QUESTION)
    assert "sk-of-openai" not in server.asked[0].key


def test_prices_come_from_the_price_list(server: LanguageServer, nowhere: Settings) -> None:
    """A server of one's own costs nothing; a provider's unknown model costs as much as its dearest."""
    own = ChatModel(nowhere.model_copy(update={"language_model_base_url": "http://127.0.0.1:1/v1"})).capabilities
    assert (own.input_usd, own.output_usd) == (0.0, 0.0)
    assert GeminiModel(nowhere).capabilities.output_usd > 0
