"""`evd topics` where there is no real Kafka: a clear sentence, soon."""

import pytest

from evd.adapters.kafka import TopicsFailed, ensure_topics
from evd.cli.topics import main
from tests.adapters.conftest import BrokerProcess


def test_the_embedded_broker_says_that_it_needs_none(broker: BrokerProcess) -> None:
    """Proves: the command tells why it has nothing to do here, and does not hang."""
    with pytest.raises(TopicsFailed, match="embedded broker"):
        ensure_topics(broker.bootstrap)


def test_no_broker_is_one_line(
    absent_broker: BrokerProcess,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Proves: without a broker the command fails with the address in its one line."""
    monkeypatch.setattr("evd.adapters.kafka.topics.METADATA_TIMEOUT_S", 0.3)
    assert main(["--kafka-bootstrap", absent_broker.bootstrap], {}) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert absent_broker.bootstrap in line


@pytest.mark.parametrize("flags", [["--partitions", "0"], ["--replication", "x"]])
def test_a_bad_number_names_its_flag(flags: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    """Proves: a number out of range is refused before any broker is asked."""
    with pytest.raises(SystemExit) as end:
        main(flags, {})
    assert end.value.code == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert flags[0] in line
