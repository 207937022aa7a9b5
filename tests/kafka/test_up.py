"""`evd up --kafka`: the operator's network under supervisord, on a node of Apache Kafka."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evd.adapters.kafka import TOPICS
from evd.cli.topics import main as evd_topics
from evd.kafka_node.installation import Installation
from tests.network.supervised import Network, network_in
from tests.network.waiting import wait_until

pytestmark = pytest.mark.kafka

RECOVERY_S_MAX = 20.0


@pytest.fixture
def network(installed_kafka: Installation, tmp_path: Path) -> Iterator[Network]:
    """A small network that does not run yet."""
    with network_in(tmp_path) as found:
        found.keep("broker", "central", "cp-CP-001")
        conf = found.conf.read_text()
        more = 'environment =\n    CP_ENGINE_SESSION_SECONDS="2",'
        found.conf.write_text(conf.replace("environment =", more))
        yield found


def processes(network: Network) -> dict[str, dict[str, Any]]:
    """The supervised processes by name."""
    status = json.loads(network.evd("status", "--json").stdout)
    return {each["name"]: each for each in status["processes"]}


def up(network: Network, *flags: str) -> None:
    """`evd up`, which must succeed."""
    done = network.evd("up", *flags)
    assert done.returncode == 0, done.stderr


def charge(network: Network) -> None:
    """A session from its request to its bill."""
    done = network.evd("request", "driver-test", "CP-001")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_life_on_kafka(network: Network, capsys: pytest.CaptureFixture[str]) -> None:
    """Proves: a running network changes over to Kafka and back without a restart of anything
    else; on Kafka it charges, survives the node's death, and has nothing for the doctor; the
    choice and the topics outlive a stop."""
    up(network)
    before = processes(network)
    up(network, "--kafka")
    after = processes(network)
    assert set(before) - set(after) == {"evd-broker"}
    assert set(after) - set(before) == {"evd-kafka"}
    assert all(before[name]["pid"] == after[name]["pid"] for name in set(before) & set(after))
    charge(network)

    bootstrap = f"127.0.0.1:{network.ports[9092]}"
    assert evd_topics(["--kafka-bootstrap", bootstrap, "--partitions", "4"], {}) == 0
    assert capsys.readouterr().out.count(": there already, ") == len(TOPICS)
    assert network.evd("crash", "evd-kafka").returncode == 0
    wait_until(
        lambda: network.evd("doctor").stdout == "Everything is as it should be.\n", RECOVERY_S_MAX
    )
    charge(network)
    assert network.evd("down").returncode == 0

    up(network)
    assert "evd-kafka" in processes(network)
    charge(network)
    up(network, "--no-kafka")
    assert set(processes(network)) == set(before)
    charge(network)


def test_a_node_that_is_away_is_a_finding(network: Network) -> None:
    """Proves: the doctor says that Kafka does not run, and how to see why."""
    up(network, "--kafka")
    network.ctl("stop", "evd-kafka")
    found = network.evd("doctor")
    assert found.returncode == 1
    assert "evd-kafka is stopped." in found.stdout
    assert "evd logs evd-kafka" in found.stdout


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("XDG_CACHE_HOME", "/nowhere", "run `make kafka`"),
        ("CENTRAL_KAFKA_BOOTSTRAP", "a:9092,b:9092", "Central looks for Kafka at a:9092,b:9092"),
    ],
)
def test_what_can_not_be_is_one_line(
    variable: str, value: str, said: str, network: Network
) -> None:
    """Proves: without an installation, or for a Kafka that is elsewhere, nothing is started."""
    conf = network.conf.read_text()
    if variable in conf:
        network.conf.write_text(
            conf.replace(f'{variable}="127.0.0.1:{network.ports[9092]}"', f'{variable}="{value}"')
        )
    done = network.evd("up", "--kafka", **{variable: value})
    assert done.returncode in (1, 2)
    (line,) = done.stderr.splitlines()
    assert said in line
    assert not (network.root / "var" / "run" / "supervisord.pid").exists()
