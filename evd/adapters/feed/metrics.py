"""The metrics of the feed."""

from collections.abc import Callable
from enum import StrEnum

from evd.adapters.http.metrics import Metrics

_DELAYS_S = (0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.0, 2.0, 5.0)


class Cut(StrEnum):
    """Why a client is cut: it does not read, or it sends too much."""

    SILENT = "silent"
    TOO_MUCH = "too_much"


class FeedMetrics:
    """The metrics of the feed, for its parts to count."""

    def __init__(self, metrics: Metrics) -> None:
        self._clients = metrics.gauge("evd_feed_clients", "Clients of the status feed")
        self.messages = metrics.counter(
            "evd_feed_messages_total", "Messages sent to clients of the status feed"
        )
        self._cut = metrics.counter(
            "evd_feed_clients_cut_total",
            "Clients of the status feed that were cut off",
            {"reason": [cut.value for cut in Cut]},
        )
        self.delay = metrics.histogram(
            "evd_feed_delay_seconds",
            "From a change, stored where it must be, until all clients that keep up were sent it",
            _DELAYS_S,
        )

    def watch(self, clients: Callable[[], int]) -> None:
        """Measure the number of `clients`."""
        self._clients.set_function(clients)

    def count_cut(self, cut: Cut) -> None:
        """Count a client that is cut."""
        self._cut.labels(cut.value).inc()
