"""The news of a process about its broker."""

import logging

import orjson
import pytest

from evd.adapters.kafka.link import BrokerLink

ANSWERING = orjson.dumps(
    {"brokers": {"1": {"state": "UP", "nodeid": 1, "waitresp_cnt": 0, "rxidle": 0}}}
).decode()
AWAY = orjson.dumps({"brokers": {}}).decode()


def test_a_broker_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: however many clients a process has, its log says once that the broker is there, or
    gone; each client knows for itself."""
    caplog.set_level(logging.INFO)
    links = [BrokerLink("told-once:9092") for _ in range(3)]
    for statistics in (ANSWERING, AWAY, ANSWERING):
        for link in links:
            link.on_statistics(statistics)
            assert link.up is (statistics is ANSWERING)
    said = [record.getMessage().partition(",")[0] for record in caplog.records]
    assert said == [
        "broker told-once:9092 answers",
        "broker told-once:9092 does not answer: no answer",
        "broker told-once:9092 answers",
    ]
