"""The workers' table, command line and failure rules."""

import pytest

from shared.domain.job import Stage
from shared.queue.names import queue_name, task_name
from shared.settings import Settings
from workers.__main__ import parse, worker_command
from workers.runner import LONGEST_BACKOFF_S, backoff_s
from workers.specs import specs

pytestmark = pytest.mark.unit

SETTINGS = Settings(database_url="postgresql://nobody@127.0.0.1:1/x", redis_url="redis://127.0.0.1:1/0")


def test_every_stage_has_a_spec_that_ends_before_a_deploy() -> None:
    """No task outlives the 300 s that the platform gives, and each may be tried again."""
    table = specs(SETTINGS)
    assert set(table) == set(Stage)
    for spec in table.values():
        assert spec.soft_limit_s < spec.hard_limit_s < 300
        assert spec.max_attempts > 1


def test_one_word_a_stage() -> None:
    """Queue and task carry the stage's own name."""
    assert [queue_name(stage) for stage in Stage] == [stage.value for stage in Stage]
    assert task_name(Stage.DIARIZE) == "stage.diarize"


def test_a_worker_of_several_stages() -> None:
    """The processes of light stages add up unless a number is given."""
    asked = parse(["download", "analyze"])
    command = worker_command([Stage.DOWNLOAD, Stage.ANALYZE], asked, SETTINGS)
    assert command[command.index("--queues") + 1] == "download,analyze"
    assert command[command.index("--concurrency") + 1] == "8"
    assert "--events" not in command


def test_concurrency_and_events_can_be_chosen() -> None:
    """Flower sees a worker that was started with --events."""
    command = worker_command([Stage.DIARIZE], parse(["diarize", "--concurrency", "3", "--events"]), SETTINGS)
    assert command[command.index("--concurrency") + 1] == "3"
    assert "--events" in command


@pytest.mark.parametrize("arguments", [[], ["steward", "download"], ["transcode"]])
def test_a_wrong_command_line_is_refused(arguments: list[str]) -> None:
    """Nothing is started that would consume nothing."""
    with pytest.raises(SystemExit):
        parse(arguments)


def test_backoff_grows_and_is_bounded() -> None:
    """5, 15, 45 s and so on, never over ten minutes, spread over the upper half."""
    assert [backoff_s(attempt, 5.0, lambda: 1.0) for attempt in (1, 2, 3)] == [5.0, 15.0, 45.0]
    assert backoff_s(1, 5.0, lambda: 0.0) == 2.5
    assert backoff_s(50, 5.0, lambda: 1.0) == LONGEST_BACKOFF_S
