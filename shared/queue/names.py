"""Which queue and which task belong to a stage. The same word everywhere."""

from shared.domain.job import Stage

ENROL_TASK = "voice.enrol"  # on the diarize queue, whose workers have the networks for it
UNROUTED = "unrouted"  # Celery's default queue: nobody consumes it, so a message in it is a mistake to be seen


def queue_name(stage: Stage) -> str:
    return stage.value


def task_name(stage: Stage) -> str:
    """Explicit, so that a task may move to another module while old messages are in flight."""
    return f"stage.{stage.value}"
