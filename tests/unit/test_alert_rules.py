"""The alert rules for Prometheus, as far as they can be judged without it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from evd.cli import parse
from tests.unit.promql import metrics_in, unknown_in

SETTINGS = Path(__file__).parents[2] / "etc" / "prometheus"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((SETTINGS / "rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
JOBS = {f"evd-{name}" for name in ("central", "engine", "monitor", "driver", "broker")}


def name_of(rule: dict[str, Any]) -> str:
    """The name of an alert."""
    return str(rule["alert"])


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_an_alert_uses_metrics_that_exist(rule: dict[str, Any]) -> None:
    """Proves: no alert waits for a metric that nobody shows."""
    assert metrics_in(rule["expr"])
    assert not unknown_in(rule["expr"])


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_an_alert_says_what_is_and_what_to_do(rule: dict[str, Any]) -> None:
    """Proves: each alert has a severity, one line of what is wrong, and sentences on what to do."""
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}
    assert not rule["annotations"]["summary"].endswith(".")
    assert rule["annotations"]["description"].endswith(".")


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_an_alert_names_commands_that_there_are(rule: dict[str, Any]) -> None:
    """Proves: the advice of an alert can be typed as it stands."""
    text = rule["annotations"]["description"]
    for label, value in (("cp_id", "CP-001"), ("topic", "cp.status")):
        text = text.replace(f"{{{{ $labels.{label} }}}}", value)
    for command in re.findall(r"`evd ([^`]+)`", text):
        assert parse(command.split()).run


def test_each_alert_is_tested() -> None:
    """Proves: there is a case for each alert in which it fires."""
    text = (SETTINGS / "rules_test.yml").read_text()
    untested = [name for name in map(name_of, RULES) if f'alertname="{name}"' not in text]
    assert untested == []


def test_the_jobs_have_their_names() -> None:
    """Proves: a scrape job is named for its program, as rules and dashboards expect."""
    config = yaml.safe_load((SETTINGS / "prometheus.yml").read_text())
    assert {job["job_name"] for job in config["scrape_configs"]} == JOBS


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("evd_a_total", {"evd_a_total"}),
        ('sum by (x, y) (rate(evd_a{b="c"}[5m])) > 0.5', {"evd_a"}),
        ("evd_a * on (job) group_left (cp_id) evd_b == 1 or evd_c", {"evd_a", "evd_b", "evd_c"}),
        ("histogram_quantile(0.9, rate(evd_commit_seconds_bucket[1h]))", {"evd_commit_seconds"}),
        ("predict_linear(evd_a[1h] offset 5m, 86400) < 1e3", {"evd_a"}),
    ],
)
def test_names_are_found_in_an_expression(expression: str, names: set[str]) -> None:
    """Proves: the reader of expressions finds each metric, and takes nothing else for one."""
    assert metrics_in(expression) == names
