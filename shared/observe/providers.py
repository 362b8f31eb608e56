"""Counts of provider calls, as the gate tells them."""

from shared.observe.metrics import PROVIDER_CALLS, PROVIDER_HELD, PROVIDER_OPENED


class ProviderMetrics:
    """One set a process, whoever asks for it."""

    def called(self, provider: str, model: str, outcome: str) -> None:
        PROVIDER_CALLS.labels(provider, model, outcome).inc()

    def held(self, provider: str, reason: str) -> None:
        PROVIDER_HELD.labels(provider, reason).inc()

    def opened(self, provider: str) -> None:
        PROVIDER_OPENED.labels(provider).inc()
