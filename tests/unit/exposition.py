"""The metrics that each daemon shows, by its own code, and those that docs/metrics.md lists."""

import re
from pathlib import Path

import attrs
import trio

from evd.adapters.feed.metrics import FeedMetrics
from evd.adapters.http.metrics import Metrics
from evd.core.central.point import Point
from evd.core.central.rows import ChargingPoint
from evd.core.engine.core import Engine
from evd.core.engine.events import EngineDisk, EngineSettings
from evd.core.monitor.core import Monitor, MonitorSettings
from evd.daemons.broker.metrics import BrokerMetrics
from evd.daemons.central.metrics import CentralMetrics, Gauged
from evd.daemons.driver.metrics import DriverMetrics
from evd.daemons.engine.metrics import Counts, EngineMetrics
from evd.daemons.monitor.metrics import MonitorMetrics
from tests.unit.engine.rig import clock

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
EVERY, STATEFUL = "Every daemon", "Those with a state directory"
PROTECTED = "Those with certificates or tokens"
DAEMONS = ("evd-central", "evd-engine", "evd-monitor", "evd-driver", "evd-broker")


@attrs.frozen
class Family:
    """A metric as it is shown: its type and its labels."""

    kind: str
    labels: frozenset[str]


def families(text: str) -> dict[str, Family]:
    """Every metric of a page, by its name; a histogram is one metric."""
    found = {}
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        suffix = "_bucket" if kind == "histogram" else ""
        series = re.findall(rf"^{name}{suffix}(?:{{(.*)}})? \S+$", text, re.MULTILINE)
        names = {label for each in series for label in re.findall(r'(\w+)="', each)}
        found[name] = Family(kind, frozenset(names - {"le"}))
    return found


def sections() -> dict[str, dict[str, Family]]:
    """The metrics that each part of the page lists."""
    return {
        part.partition("\n")[0]: {
            name: Family(kind, frozenset(re.findall(r"`(\w+)`", labels)))
            for name, kind, labels in re.findall(
                r"^\| `(\w+)` \| (\w+) \| (.*?)\| \S.*\|$", part, re.MULTILINE
            )
        }
        for part in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    }


def listed(daemon: str) -> dict[str, Family]:
    """The metrics that the page lists for a daemon."""
    parts = sections()
    stateful = {} if daemon == "evd-broker" else parts[STATEFUL]
    return parts[EVERY] | stateful | parts[daemon]


def exposition(daemon: str) -> str:
    """The page of /metrics that a daemon shows at its start, with one charging point."""
    return _PAGES[daemon](Metrics(Path("/"))).decode()


def _central(metrics: Metrics) -> bytes:
    view = Point(ChargingPoint("CP-001"), 0.0).view(None, 0.0)
    central, _ = CentralMetrics(metrics), FeedMetrics(metrics)
    shown: bytes = trio.run(central.render, Gauged([view]))
    return shown


def _engine(metrics: Metrics) -> bytes:
    settings = EngineSettings(cp_id="CP-001", kw_rate=22.0, euro_rate=0.3)
    core = Engine(settings, "boot-1", EngineDisk(), clock())
    return EngineMetrics(metrics, Counts(), core, lambda: 0, lambda: None).render()


def _monitor(metrics: Metrics) -> bytes:
    MonitorMetrics(metrics, Monitor(MonitorSettings("CP-001", 1.0, 3, 2.0), "instance-1"))
    return metrics.render()


def _driver(metrics: Metrics) -> bytes:
    driver = DriverMetrics(metrics)
    driver.watch(lambda: 0, lambda: None)
    return driver.render()


def _broker(_: Metrics) -> bytes:
    counts = {"cp.status": 1}
    return BrokerMetrics(Metrics(), counts, counts, lambda: None).render()


_PAGES = {
    "evd-central": _central,
    "evd-engine": _engine,
    "evd-monitor": _monitor,
    "evd-driver": _driver,
    "evd-broker": _broker,
}
