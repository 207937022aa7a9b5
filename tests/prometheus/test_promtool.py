"""Prometheus' own tool judges our configuration, rules and names."""

import subprocess

import pytest

from tests.network.processes import CHECKOUT
from tests.prometheus.install import Installation
from tests.unit.exposition import DAEMONS, exposition

pytestmark = pytest.mark.prometheus
SETTINGS = CHECKOUT / "etc" / "prometheus"


def promtool(installed: Installation, *arguments: str, page: str = "") -> str:
    """Run it, and return what it says; the test fails where it is not content."""
    done = subprocess.run(
        (installed.promtool, *arguments), input=page, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_configuration_is_one(installed: Installation) -> None:
    """Proves: a Prometheus starts with our configuration, and finds the rules by it."""
    assert "rule files found" in promtool(
        installed, "check", "config", str(SETTINGS / "prometheus.yml")
    )


def test_the_rules_are_rules(installed: Installation) -> None:
    """Proves: each alert is one that Prometheus takes, and none stands twice."""
    said = promtool(installed, "check", "rules", str(SETTINGS / "rules.yml"))
    assert "SUCCESS" in said
    assert "duplicate" not in said


def test_each_alert_fires_when_it_should(installed: Installation) -> None:
    """Proves: each alert fires on what it is about, with the charging point as a label, and none
    on a network that is well."""
    promtool(installed, "test", "rules", str(SETTINGS / "rules_test.yml"))


@pytest.mark.parametrize("daemon", DAEMONS)
def test_names_keep_the_conventions(installed: Installation, daemon: str) -> None:
    """Proves: promtool has nothing to say of a daemon's metrics: their names, units and texts."""
    assert promtool(installed, "check", "metrics", page=exposition(daemon)) == ""
