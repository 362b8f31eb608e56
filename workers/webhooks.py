"""The sender of webhooks: a loop of its own beside the steward's, with a thread for each delivery under way."""

import threading
from urllib.parse import urlsplit

import structlog

from shared.adapters.webhook_sender import WebhookSender
from shared.domain.errors import StorageUnavailable
from shared.domain.webhooks import DeliveryStatus, Letter
from shared.store.webhook_queue import WebhookQueue

HANDS = 16  # deliveries under way; an endpoint has two of them, so eight must hang to hold up the others, for 15 s
IDLE_S = 1.0
BUSY_S = 0.05

log = structlog.get_logger(__name__)


class Postman:
    def __init__(self, queue: WebhookQueue, sender: WebhookSender, hands: int = HANDS) -> None:
        self._queue, self._sender, self._most = queue, sender, hands
        self._under_way: set[threading.Thread] = set()

    def start(self, stop: threading.Event) -> None:
        threading.Thread(target=self._walk, args=(stop,), name="webhooks", daemon=True).start()

    def round(self) -> int:
        """Begin what is due, as far as there are hands. Returns how many were begun."""
        self._under_way = {thread for thread in self._under_way if thread.is_alive()}
        hands = self._most - len(self._under_way)
        letters = self._queue.take(hands) if hands > 0 else []
        for letter in letters:
            thread = threading.Thread(target=self._deliver, args=(letter,), name=f"webhook-{letter.id}", daemon=True)
            self._under_way.add(thread)
            thread.start()
        return len(letters)

    def wait(self) -> None:
        """For what is under way."""
        for thread in list(self._under_way):
            thread.join()

    def _walk(self, stop: threading.Event) -> None:
        nap_s = 0.0
        while not stop.wait(nap_s):
            nap_s = BUSY_S if self._guarded_round() else IDLE_S

    def _guarded_round(self) -> int:
        try:
            return self.round()
        except StorageUnavailable:
            log.warning("webhooks.no_database")
        except Exception:
            log.exception("webhooks.failed")  # the next second may do better
        return 0

    def _deliver(self, letter: Letter) -> None:
        """What cannot be settled is due again when its hold runs out, under the same id."""
        try:
            answer = self._sender.send(letter)
            status = self._queue.settle(letter, answer)
        except StorageUnavailable:
            log.warning("webhook.not_settled", delivery_id=letter.id)
            return
        except Exception:
            log.exception("webhook.failed", delivery_id=letter.id)
            return
        facts = {"delivery_id": letter.id, "host": urlsplit(letter.url).hostname, "attempt": letter.attempt}
        level = log.info if status is DeliveryStatus.DELIVERED else log.warning
        level("webhook.tried", status=status, answer=answer.status, trouble=answer.error, **facts)
