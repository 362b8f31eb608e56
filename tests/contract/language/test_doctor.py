"""`vibeinsight doctor` asks the language model one small question."""

import pytest

from cli.doctor import State, language_model_part
from shared.settings import Settings
from tests.language_server import MODEL, LanguageServer, Reply

pytestmark = pytest.mark.contract


def test_a_model_that_answers(server: LanguageServer) -> None:
    """Its provider and name are shown."""
    server.model = lambda asked: '{"fine": true}'
    check = language_model_part(server.settings("gemini")).check()
    assert (check.state, MODEL in check.detail) == (State.FINE, True)
    assert server.asked[0].schema["required"] == ["fine"]


@pytest.mark.parametrize("reply", [Reply(status=401), Reply('{"other": 1}'), Reply("no JSON")])
def test_a_model_that_does_not(server: LanguageServer, reply: Reply) -> None:
    """Broken, with what to look at, and without the key."""
    server.model = lambda asked: reply
    check = language_model_part(server.settings("openai")).check()
    assert check.state is State.BROKEN
    assert "analysis-model.md" in check.mend
    assert "a-key" not in check.detail


def test_no_model_is_fine() -> None:
    """The rules do it then."""
    check = language_model_part(Settings(language_model="none")).check()
    assert (check.state, "rules" in check.detail) == (State.FINE, True)
