"""A Central that stands by on a host of its own, when the one that serves fails or is switched."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

import pytest

from tests.hosts.host import Host
from tests.hosts.site import LOOK_S, PATIENCE_S, STANDBY, Site
from tests.network.waiting import wait_until

pytestmark = pytest.mark.hosts

POSTGRES_PORT: Final = 5432
KILLED_S_MAX, SILENT_S_MAX, SWITCHED_S_MAX = 6.0, 12.0, 3.0
# Six hosts, and those of the labs beside them, share the cores of one machine.
SHARED_S: Final = 2.0

Fault = Callable[[Host], AbstractContextManager[None]]


def test_a_central_that_is_killed_or_switched_is_taken_over_from(site: Site) -> None:
    """Proves: where the Central that serves is killed, or an operator says `evd central handover`,
    another host's serves, with all points ON, within 6 s or 3 s of it; also where it is switched
    back at once. Sessions go on and are billed once, nobody else is restarted."""
    what = "evd-central of the host that serves: kill -9"
    _take_over(site, what, KILLED_S_MAX, _killed, "/evd-central")
    for what in ("`evd central handover`", "`evd central handover` back, at once"):
        # A Central that has handed over begins anew, to stand by.
        _take_over(site, what, SWITCHED_S_MAX, _switched, "/evd-central")


def test_a_host_that_is_lost_is_taken_over_from(site: Site) -> None:
    """Proves: where the host of the Central that serves loses its power, its cable, or its way to
    the database alone, without a reset of any connection, another host's serves, with all points
    ON, within 12 s of it. Sessions go on and are billed once, nobody else is restarted."""
    links, server = site.lab.links, site.lab.hosts[STANDBY.database]

    @contextmanager
    def without_power(host: Host) -> Iterator[None]:
        # A host without power says no farewell: the kernel that all hosts here have would.
        with links.cut(host):
            host.lose_power()
            yield
        host.boot()

    def without_database(host: Host) -> AbstractContextManager[None]:
        return links.without_port(host, server, POSTGRES_PORT)

    for what, fault in (
        ("the host of the Central that serves loses its power", without_power),
        ("the cable of the host of the Central that serves is pulled", links.cut),
        ("the Central that serves is cut off from its database alone", without_database),
    ):
        _take_over(site, what, SILENT_S_MAX, fault, "/")


@pytest.mark.slow
def test_a_database_whose_host_is_lost_comes_back(site: Site) -> None:
    """Proves: while the host of the database is without power no Central serves; when it has power
    again one serves by itself, and the sessions that ran are billed once."""
    site.name_of_serving()
    requests = site.begin_sessions()
    server = site.lab.hosts[STANDBY.database]
    with site.only(f"{server.name}/", "/evd-central"):
        server.lose_power()
        wait_until(lambda: site.health() != 200, PATIENCE_S, "no Central serves")
        began_s = time.monotonic()
        server.boot()
        what = "the host of the database has power again, until all is ready"
        site.note_until(what, began_s, site.wait_ready)
        rows = {row["request_id"]: row for row in site.hold_promises().sessions}
    assert all(rows[request_id]["billable"] for request_id in requests.values())


def _take_over(site: Site, what: str, bound_s: float, fault: Fault, *failing: str) -> None:
    """Let the Central that serves fail in mid-session until another one serves; `failing` are the
    ends of names, behind that of its host, of what may end there."""
    print(f"-- {what}")
    serves = site.name_of_serving()
    (other,) = (name for name in STANDBY.centrals if name != serves)
    requests = site.begin_sessions()
    with site.only(*(f"{serves}{each}" for each in failing)):
        began_s = time.monotonic()
        with fault(site.lab.hosts[serves]):
            took_s = site.note_until(
                f"{what}, until the other one shows all points ON",
                began_s,
                lambda: wait_until(lambda: site.is_well_at(other), PATIENCE_S, what, LOOK_S),
            )
        for request_id in requests.values():
            site.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
        assert site.name_of_serving() == other
        rows = {row["request_id"]: row for row in site.hold_promises().sessions}
    assert all(rows[request_id]["billable"] for request_id in requests.values())
    assert took_s <= bound_s + SHARED_S


@contextmanager
def _killed(host: Host) -> Iterator[None]:
    host.sh("systemctl kill --kill-whom=main --signal=KILL evd-central.service")
    yield


@contextmanager
def _switched(host: Host) -> Iterator[None]:
    host.sh("evd central handover")
    yield
