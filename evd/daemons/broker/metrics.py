"""The metrics of the embedded broker."""

from collections.abc import Callable, Mapping

from evd.adapters.http.metrics import Metrics


class BrokerMetrics:
    """The messages of each topic: `written` since the start, and still `kept`."""

    def __init__(
        self,
        metrics: Metrics,
        written: Mapping[str, int],
        kept: Mapping[str, int],
        unhealthy: Callable[[], str | None],
    ) -> None:
        self._metrics = metrics
        self._written, self._kept = written, kept
        metrics.watch_health(unhealthy)
        labels = {"topic": written}
        self._messages = metrics.counter(
            "evd_broker_messages_total", "Messages ever written", labels
        )
        self._messages_kept = metrics.gauge(
            "evd_broker_messages_kept", "Messages still in memory", labels
        )
        self._shown = dict.fromkeys(written, 0)

    def render(self) -> bytes:
        """All of it in Prometheus' text format."""
        for topic, total in self._written.items():
            self._messages.labels(topic).inc(total - self._shown[topic])
            self._shown[topic] = total
            self._messages_kept.labels(topic).set(self._kept[topic])
        return self._metrics.render()
