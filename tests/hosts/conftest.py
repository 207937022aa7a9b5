"""Five hosts for the tests, provisioned once and reset for each; what a machine lacks for them."""

import contextlib
import os
import time
from collections.abc import Generator, Iterator

import pytest

from tests.hosts import cgroups
from tests.hosts.commands import CommandFailed, run
from tests.hosts.install import TOOLS, base_tree
from tests.hosts.lab import Lab, made
from tests.hosts.provision import Controller
from tests.hosts.site import HOSTS, NETWORK, Figures, Site
from tests.network.waiting import NeverTrue

LAB = "evdlab"
_left_out: list[str] = []
_failed = pytest.StashKey[bool]()


def _lacking() -> str:
    """Why this machine can't boot hosts; empty where it can."""
    if os.geteuid() != 0:
        return "hosts are booted by root, and you are not root"
    for program in TOOLS:
        try:
            run("which", program)
        except CommandFailed:
            return f"there is no {program}: run `make hosts`"
    if not cgroups.supported():
        return "this machine's control groups are not the hierarchies side by side that hosts need"
    if not base_tree().is_dir():
        return f"there is no {base_tree()}: run `make hosts`"
    return ""


def needs_hosts() -> None:
    """Leave out, loudly, a test where this machine can't boot hosts."""
    if reason := _lacking():
        _left_out.append(reason)
        pytest.skip(reason)


@pytest.fixture(scope="session")
def figures(pytestconfig: pytest.Config) -> Figures:
    """The figures that the tests of this run measure."""
    return pytestconfig.stash.get(Figures.KEY, Figures())


@pytest.fixture(scope="session")
def provisioned(figures: Figures) -> Iterator[Lab]:
    """Five hosts that site.yml has made a network of; left out, loudly, where they can't boot."""
    needs_hosts()
    with made(LAB, NETWORK, HOSTS, base_tree()) as lab:
        began_s = time.monotonic()
        Controller(lab).play("site.yml")
        with contextlib.closing(Site(lab, figures)) as site:
            site.wait_ready()
        took_s = time.monotonic() - began_s
        figures.note("`ansible-playbook site.yml` on five bare hosts, until all is ready", took_s)
        yield lab


@pytest.fixture(scope="session")
def lab(provisioned: Lab) -> Lab:
    """The same five hosts, each of which can be reset to what site.yml made of it."""
    provisioned.keep_as_provisioned()
    return provisioned


@pytest.fixture
def site(lab: Lab, figures: Figures, request: pytest.FixtureRequest) -> Iterator[Site]:
    """The network as it was provisioned, all of it ready; its story is shown where a test fails."""
    lab.reset()
    with contextlib.closing(Site(lab, figures)) as site:
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
    """Remember that a test has failed: its hosts' journals are shown then."""
    report = yield
    item.stash[_failed] = item.stash.get(_failed, False) or report.failed
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Warns in the summary that the hosts were left out."""
    if _left_out:
        terminalreporter.section("LEFT OUT: everything on real hosts", sep="!", red=True)
        terminalreporter.line(_left_out[0])
