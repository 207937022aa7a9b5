"""The news of a process about its broker."""

import logging

import orjson
import pytest

from evd.adapters.kafka.link import BrokerLink

ANSWERING = orjson.dumps(
    {
        "brokers": {
            "1": {"state": "UP", "nodeid": 1, "source": "learned", "waitresp_cnt": 0, "rxidle": 0}
        }
    }
).decode()
AWAY = orjson.dumps(
    {"brokers": {"b": {"state": "TRY_CONNECT", "nodeid": -1, "source": "configured"}}}
).decode()
# Seen of a client that a cluster had told of no broker: a coordinator that nobody plays.
STRANDED = orjson.dumps(
    {"brokers": {"GroupCoordinator": {"state": "TRY_CONNECT", "nodeid": -1, "source": "logical"}}}
).decode()


@pytest.mark.parametrize("statistics", [ANSWERING, AWAY, STRANDED])
def test_a_client_without_any_address_is_stranded(statistics: str) -> None:
    """Proves: a client that has forgotten every address is told from one whose broker is away,
    which finds it by itself."""
    link = BrokerLink("stranded:9092")
    link.on_statistics(statistics)
    assert link.is_stranded is (statistics is STRANDED)


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
