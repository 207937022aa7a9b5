"""Hosts for the tests, provisioned once and reset for each; what a machine lacks for them.

Three labs run side by side, for a test mostly waits: five hosts where everybody is asked who they
are, six where a Central stands by as well, and three, which are enough for the playbooks of a day,
where nobody is asked.
"""

import contextlib
import time
from collections.abc import Generator, Iterator

import pytest

from tests.hosts.commands import CommandFailed, run
from tests.hosts.install import TOOLS, base_tree, why_never
from tests.hosts.lab import Lab, made
from tests.hosts.provision import Controller, make_inventory
from tests.hosts.site import CLOSED, NETWORK, PLAIN, STANDBY, Figures, Kind, Site, kind_of
from tests.network.waiting import NeverTrue

_failed = pytest.StashKey[bool]()


def _lacking() -> str:
    """Why this machine can't boot hosts; empty where it can."""
    if reason := why_never():
        return reason
    for program in TOOLS:
        try:
            run("which", program)
        except CommandFailed:
            return f"there is no {program}: run `make hosts`"
    if not base_tree().is_dir():
        return f"there is no {base_tree()}: run `make hosts`"
    return ""


def needs_hosts() -> None:
    """Leave out, loudly, a test where this machine can't boot hosts."""
    if reason := _lacking():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """The figures that the tests of this run measure."""
    return pytestconfig.stash.setdefault(Figures.KEY, Figures())


@pytest.fixture(scope="session")
def provisioned(figures: Figures) -> Iterator[Lab]:
    """Five hosts of which site.yml has made a network that lets in nobody without TLS and a token;
    left out, loudly, where they can't boot."""
    with _made(CLOSED, figures) as lab:
        yield lab


@pytest.fixture(scope="session")
def closed_lab(provisioned: Lab) -> Lab:
    """The same five hosts, each of which can be reset to what site.yml made of it."""
    provisioned.keep_as_provisioned()
    return provisioned


@pytest.fixture(scope="session")
def plain_lab(figures: Figures) -> Iterator[Lab]:
    """Three hosts, where nobody is asked who they are; they too can be reset."""
    with _made(PLAIN, figures) as lab:
        lab.keep_as_provisioned()
        yield lab


@pytest.fixture(scope="session")
def standby_lab(figures: Figures) -> Iterator[Lab]:
    """Six hosts with all protection, where one Central stands by for another; they can be reset."""
    with _made(STANDBY, figures) as lab:
        lab.keep_as_provisioned()
        yield lab


@contextlib.contextmanager
def _made(kind: Kind, figures: Figures) -> Iterator[Lab]:
    """Bare hosts of which site.yml makes a network."""
    needs_hosts()
    what = f"site.yml on {len(kind.hosts)} bare hosts ({kind.name}), until all is ready"
    with made(f"evd{kind.name}", NETWORK, kind.hosts, base_tree()) as lab:
        make_inventory(lab, kind)
        began_s = time.monotonic()
        Controller(lab).play("site.yml")
        with contextlib.closing(Site(lab, figures, kind)) as site:
            site.wait_ready()
        figures.note(what, time.monotonic() - began_s)
        yield lab


@pytest.fixture
def site(figures: Figures, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The network as it was provisioned, all of it ready; its story is shown where a test fails."""
    kind = kind_of(request.node.nodeid)
    lab: Lab = request.getfixturevalue(f"{kind.name}_lab")
    lab.reset()
    with contextlib.closing(Site(lab, figures, kind)) as site:
        try:
            site.wait_ready()
        except NeverTrue:
            print(site.story())
            raise
        yield site
        if request.node.stash.get(_failed, False):
            print(site.story())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test has failed: its hosts' journals are shown then.  The figures so far go
    with the report, for they were measured in a worker."""
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    figures = item.config.stash.get(Figures.KEY, Figures())
    report.user_properties.append((Figures.PROPERTY, dict(figures.seconds)))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Warns in the summary that tests on hosts were left out, and why."""
    skipped = terminalreporter.getreports("skipped")
    reasons = {
        report.longrepr[2]
        for report in skipped
        if report.nodeid.startswith("tests/hosts/") and isinstance(report.longrepr, tuple)
    }
    if reasons:
        terminalreporter.section("LEFT OUT: tests on real hosts", sep="!", red=True)
        for reason in sorted(reasons):
            terminalreporter.line(reason)
