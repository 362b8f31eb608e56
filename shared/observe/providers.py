"""Counters of provider calls. In the default registry, so that a worker's and the API's exporters find them."""

from functools import cache

from prometheus_client import Counter


@cache
def _counters() -> tuple[Counter, Counter, Counter]:
    return (
        Counter("vibeinsight_provider_calls_total", "Calls by how they ended", ["provider", "model", "outcome"]),
        Counter("vibeinsight_provider_held_total", "Calls not made, by reason", ["provider", "reason"]),
        Counter("vibeinsight_provider_opened_total", "Times that a provider's circuit opened", ["provider"]),
    )


class ProviderMetrics:
    """One set a process, whoever asks for it."""

    def called(self, provider: str, model: str, outcome: str) -> None:
        _counters()[0].labels(provider, model, outcome).inc()

    def held(self, provider: str, reason: str) -> None:
        _counters()[1].labels(provider, reason).inc()

    def opened(self, provider: str) -> None:
        _counters()[2].labels(provider).inc()
