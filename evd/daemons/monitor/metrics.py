"""A monitor's metrics and its health."""

from typing import TYPE_CHECKING

from evd.adapters.http.metrics import Metrics
from evd.core.monitor.core import Monitor
from evd.core.monitor.events import CheckResult
from evd.core.wire.control import EngineStatus

if TYPE_CHECKING:
    from evd.adapters.http.metrics_server import MetricsPort


class MonitorMetrics:
    """The counters and gauges of one monitor, named evd_monitor_*."""

    def __init__(self, metrics: Metrics, core: Monitor) -> None:
        self._core = core
        self._render = metrics.render
        metrics.watch_health(self._unhealthy)
        info = metrics.gauge(
            "evd_monitor_info", "Always 1; the charging point of the monitor", {"cp_id": ()}
        )
        info.labels(core.cp_id).set(1)
        self._checks = metrics.counter(
            "evd_monitor_checks_total",
            "Health checks of the engine by how they ended",
            {"result": [result.value for result in CheckResult]},
        )
        self._engine_up = metrics.gauge(
            "evd_monitor_engine_up", "1 while the verdict on the engine is OK"
        )
        self._connected = metrics.gauge("evd_monitor_connected", "1 while registered with Central")
        self._reconnects = metrics.counter(
            "evd_monitor_reconnects_total", "Attempts to reach Central after the first"
        )

    async def serve(self, port: "MetricsPort") -> None:
        """Serve /metrics and /health."""
        # A server that few monitors need takes long to load.
        from evd.adapters.http.metrics_server import serve_metrics

        await serve_metrics(
            port, service="evd-monitor", render=self._render, health=self._unhealthy
        )

    def on_check(self, result: CheckResult) -> None:
        """Count a health check that ended."""
        self._checks.labels(result.value).inc()

    def on_dial_central(self, connection: int) -> None:
        """Count an attempt to reach Central; the first has the number 1."""
        if connection > 1:
            self._reconnects.inc()

    def refresh(self) -> None:
        """Set the gauges from the core's state."""
        self._engine_up.set(self._core.checks.verdict.status is EngineStatus.OK)
        self._connected.set(self._core.report.registered)

    def doing(self) -> str:
        """The verdict on the engine, and whether Central hears it."""
        heard = self._unhealthy() or "registered with Central"
        return f"engine {self._core.checks.verdict.status}, {heard}"

    def _unhealthy(self) -> str | None:
        return None if self._core.report.registered else "not registered with Central"
