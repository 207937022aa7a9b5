"""A driver's metrics."""

from collections.abc import Callable
from typing import Final

import trio

from evd.adapters.http.metrics import Metrics
from evd.core.driver.core import Driver
from evd.core.wire.messages import (
    BEACONS,
    UPDATES,
    Action,
    DriverRequest,
    DriverUpdate,
    Message,
    RequestStatus,
)
from evd.daemons.timings import ANSWER_BUCKETS_S, Timings

_FINAL: Final = [status.value for status in RequestStatus if status.final]


class DriverMetrics:
    """The counters and gauges of one driver, named evd_driver_*."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.render = metrics.render
        self._requests = metrics.counter(
            "evd_driver_requests_total", "Requests that got their final status", {"status": _FINAL}
        )
        self._accepted_s = metrics.histogram(
            "evd_driver_request_accepted_seconds",
            "Requests that were ACCEPTED, by the time since they were first sent",
            ANSWER_BUCKETS_S,
        )
        self._asked = Timings()
        self._updates = metrics.counter("evd_driver_updates_total", "Updates that were told")
        self._open = metrics.gauge(
            "evd_driver_requests_open", "Requests that Central has not ended yet"
        )
        self._charging = metrics.gauge("evd_driver_charging", "1 while a session runs")
        self._failures = metrics.counter(
            "evd_driver_save_failures_total", "Times that the disk refused"
        )
        self._would_refuse = metrics.counter(*metrics.WOULD_REFUSE, {"what": ("http",)})
        self._recent = metrics.gauge(*metrics.RECENT_DEAD_LETTERS)
        self._dead = metrics.counter(
            "evd_dead_letters_total", "Bad messages put aside", {"topic": (BEACONS, UPDATES)}
        )

    def count_would_refuse(self, what: str) -> None:
        """Count one that was taken, and would not be with --auth required."""
        self._would_refuse.labels(what).inc()

    def on_told(self, update: DriverUpdate) -> None:
        """Count an update that the driver was told."""
        self._updates.inc()
        waited_s = self._asked.end(update.request_id, trio.current_time())
        if update.status is RequestStatus.ACCEPTED and waited_s is not None:
            self._accepted_s.observe(waited_s)
        if update.status.final:
            self._requests.labels(update.status.value).inc()

    def on_sent(self, message: Message) -> None:
        """Note when a request is sent for the first time."""
        if isinstance(message, DriverRequest) and message.action is Action.START:
            self._asked.ask(message.request_id, trio.current_time())

    def on_save_failed(self) -> None:
        """Count a save that failed."""
        self._failures.inc()

    def watch(self, recent: Callable[[], int], unhealthy: Callable[[], str | None]) -> None:
        """Measure the `recent` bad messages, and whether the driver is `unhealthy`."""
        self._recent.set_function(recent)
        self._metrics.watch_health(unhealthy)

    def on_dead_letter(self, topic: str) -> None:
        """Count a bad message of `topic` that was put aside."""
        self._dead.labels(topic).inc()

    def refresh(self, core: Driver) -> None:
        """Set the gauges from the core's state."""
        self._open.set(core.open_count)
        self._charging.set(core.current is not None)
