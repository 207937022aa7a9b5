"""Settings that change on running hosts: what site.yml restarts, in which order, and how it waits.

Each plays site.yml several times, which takes minutes: `make test-hosts-slow`.
"""

import re
from itertools import pairwise
from typing import Final

import pytest

from tests.hosts.commands import CommandFailed
from tests.hosts.provision import Controller, changes
from tests.hosts.site import KAFKAS, PATIENCE_S, Site

pytestmark = [pytest.mark.hosts, pytest.mark.slow]

KAFKA: Final = "kafka.service"
_STOPS: Final = re.compile(r"^([0-9.]+) \S+ systemd\[1\]: Stopping kafka", re.M)
_SERVES: Final = re.compile(r"^([0-9.]+) .*Kafka Server started", re.M)
LONG: Final = {"CP_ENGINE_SESSION_SECONDS": "600"}


def test_kafka_is_restarted_node_by_node(site: Site) -> None:
    """Proves: where a setting of Kafka changed each node is restarted when the one before serves
    again, while drivers charge; at a node that does not come back it ends, the others run on, and
    the next run with right settings mends it."""
    controller = Controller(site.lab)
    with site.only(KAFKA), site.busy():
        before = site.pids(*KAFKAS)
        controller.play("site.yml", kafka_heap_mb=300)
        after = site.pids(*KAFKAS)
        assert all(after[f"{name}/{KAFKA}"] != before[f"{name}/{KAFKA}"] for name in KAFKAS)
        spans = sorted(_restart_of(site, name) for name in KAFKAS)
        assert all(serves_s < next_s for (_, serves_s), (next_s, _) in pairwise(spans))
    site.hold_promises()
    with site.only(f"kafka1/{KAFKA}"):
        with pytest.raises(CommandFailed, match="kafka1 does not come back"):
            wrong = {"kafka_jvm_flags": "-XX:+NoSuchFlag", "kafka_ready_wait_s": 5}
            controller.play("site.yml", kafka_heap_mb=300, **wrong)
        for request_id in site.begin_sessions().values():
            site.wait_request(request_id, "COMPLETED", within_s=PATIENCE_S)
    with site.only(KAFKA):
        controller.play("site.yml")
        site.hold_promises()
    assert changes(controller.play("site.yml")) == []


def test_an_engine_is_waited_for_and_then_left_or_ended(site: Site) -> None:
    """Proves: a session longer than evd_session_wait_s ends the playbook with a sentence and goes
    on; with evd_end_sessions it is ended and billed, and the engine has its new settings."""
    controller, unit = Controller(site.lab), "cp1/evd-engine@CP-001.service"
    controller.play("site.yml", "--limit=cp1", evd_cp_engine_env=LONG)
    site.wait_ready()
    request_id = site.driver_asks("driver-alice", "CP-001")
    site.wait_charging("CP-001")
    pid = site.pids("cp1")[unit]
    with pytest.raises(CommandFailed, match=r"engine@CP-001[.]service still charges after 2 s"):
        controller.play("site.yml", "--limit=cp1", evd_session_wait_s=2)
    assert site.pids("cp1")[unit] == pid
    assert site.cp("CP-001")["current_session"]
    controller.play("site.yml", "--limit=cp1", evd_end_sessions=True)
    assert site.pids("cp1")[unit] != pid
    rows = {row["request_id"]: row for row in site.hold_promises().sessions}
    assert rows[request_id]["billable"]
    assert rows[request_id]["energy_mwh"] > 0
    assert changes(controller.play("site.yml", "--limit=cp1")) == []


def _restart_of(site: Site, name: str) -> tuple[float, float]:
    """The times at which a node of Kafka was last told to stop, and served again."""
    said = site.lab.hosts[name].journal(f"--unit={KAFKA}", "--output=short-unix")
    return float(_STOPS.findall(said)[-1]), float(_SERVES.findall(said)[-1])
