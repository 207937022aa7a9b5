"""A real Prometheus scrapes a running network by the configuration that we ship."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.network.network import Network
from tests.network.processes import free_port
from tests.network.waiting import BUSY_S_MAX, wait_until, wait_until_none
from tests.prometheus.install import Installation
from tests.prometheus.server import Labels, Prometheus, watching
from tests.unit.exposition import DAEMONS, listed
from tests.unit.grafana import dashboard, expressions

pytestmark = pytest.mark.prometheus

CP_IDS = ("CP-001", "CP-002")
# Central shows a killed engine as BROKEN so soon; then one scrape, one look at the rules, and the
# time for which an alert must last.
BROKEN_S_MAX = 3.5
FIRES_S_MAX = BROKEN_S_MAX + 0.5 + 0.5 + 1.5 + 2 * BUSY_S_MAX
SETTLED_S_MAX = 30.0


class Watched(NamedTuple):
    """A network and the Prometheus that watches it."""

    network: Network
    prometheus: Prometheus


@pytest.fixture(scope="module")
def watched(installed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Two charging points and a driver who charges, and nothing that needs a person."""
    folder = tmp_path_factory.mktemp("watched")
    with Network(folder) as network:
        network.broker.env["EVD_BROKER_METRICS_PORT"] = str(free_port())
        for cp_id in CP_IDS:
            network.charging_point(
                cp_id, engine_flags=_metrics_port(), monitor_flags=_metrics_port()
            ).start()
        network.up()
        network.wait_available(*CP_IDS)
        repeated = ("--requests-repeat", "yes", "--request-interval", "0.5")
        network.driver("driver-alice", *CP_IDS, flags=(*_metrics_port(), *repeated)).start()
        with watching(installed, network, folder) as prometheus:
            wait_until(
                lambda: len(prometheus.query("up == 1")) == 7, SETTLED_S_MAX, "all are scraped"
            )
            wait_until_none(lambda: told(prometheus), SETTLED_S_MAX, "no alert fires")
            yield Watched(network, prometheus)


def told(prometheus: Prometheus) -> list[Labels]:
    """The alerts that fire; how full this machine's disk is has nothing to do with the network."""
    return [each for each in prometheus.firing() if each["alertname"] != "DiskFilling"]


def _metrics_port() -> tuple[str, str]:
    return "--metrics-port", str(free_port())


@pytest.mark.parametrize("job", DAEMONS)
def test_a_job_finds_all_that_its_program_shows(watched: Watched, job: str) -> None:
    """Proves: the programs that run show what docs/metrics.md lists for them, no more and no less,
    and Prometheus finds them under the name of their job."""
    known = {name.removesuffix("_total"): each.kind for name, each in listed(job).items()}
    found = watched.prometheus.families(job)
    assert {name.removesuffix("_total"): kind for name, kind in found.items()} == known


@pytest.mark.parametrize("expression", [*expressions(dashboard())])
def test_a_panel_finds_something(watched: Watched, expression: str) -> None:
    """Proves: Prometheus takes each expression of the dashboard, and a network that runs has an
    answer to it; alerts, of which there should be none, are no such answer."""
    asked = expression.replace("$__rate_interval", "30s").replace("$cp_id", ".*")
    if expression.startswith("ALERTS"):
        watched.prometheus.query(asked)
    else:
        wait_until(functools.partial(watched.prometheus.query, asked), SETTLED_S_MAX, asked)


def test_a_killed_engine_is_an_alert(watched: Watched) -> None:
    """Proves: when an engine is killed the alert about its charging point fires, with its cp_id and
    within the time in which the network shows it, none fires about another, and it is over when
    the engine is back."""
    network, prometheus = watched

    def broken() -> list[Labels]:
        return [each for each in told(prometheus) if each["alertname"] == "ChargingPointBroken"]

    network.points["CP-002"].engine.kill()
    (alert,) = wait_until(broken, FIRES_S_MAX, "the alert fires")
    assert (alert["cp_id"], alert["severity"]) == ("CP-002", "critical")
    assert not [each for each in told(prometheus) if each.get("cp_id") == "CP-001"]
    network.points["CP-002"].engine.start()
    wait_until_none(broken, SETTLED_S_MAX, "the alert is over")


def test_a_requests_time_is_measured(watched: Watched) -> None:
    """Proves: requests are timed until ACCEPTED, at Central and at their driver, and commits are,
    each in seconds."""
    for name in ("evd_request_accepted", "evd_driver_request_accepted", "evd_commit"):
        mean_s = f"{name}_seconds_sum / {name}_seconds_count > 0"
        ((_, value),) = wait_until(
            functools.partial(watched.prometheus.query, mean_s), SETTLED_S_MAX, mean_s
        )
        assert value < 5
