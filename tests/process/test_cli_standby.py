"""The tool on two hosts whose Centrals share a database and ask who calls."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.store.databases import new_postgres_url, postgres_server
from tests.network.supervised import Network, network_in
from tests.network.waiting import wait_until

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

BOUND_S = 60.0


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[tuple[Network, Network]]:
    """Two hosts that are not up; the broker is the first one's."""
    with (
        postgres_server() as server,
        network_in(tmp_path / "a") as a,
        network_in(tmp_path / "b") as b,
    ):
        settings = {
            "CENTRAL_DB_URL": new_postgres_url(server),
            "CENTRAL_AUTH": "required",
            "CENTRAL_KAFKA_BOOTSTRAP": f"127.0.0.1:{a.ports[9092]}",
        }
        for host, units in ((a, ("broker", "central")), (b, ("central",))):
            host.keep(*units)
            lines = host.conf.read_text().splitlines(keepends=True)
            kept = [line for line in lines if "CENTRAL_KAFKA_BOOTSTRAP" not in line]
            named = "".join(f'    {name}="{value}",\n' for name, value in settings.items())
            text = "".join(kept).replace("    CENTRAL_LISTEN", f"{named}    CENTRAL_LISTEN")
            host.conf.write_text(text)
        yield a, b


def started(host: Network) -> str:
    """The output of `evd up`, which may be given again where a machine is slow."""
    done: list[str] = []

    def is_up() -> bool:
        found = host.evd("up")
        done.append(found.stdout)
        return found.returncode == 0

    wait_until(is_up, 2 * BOUND_S, "the network is up")
    return done[-1]


def test_a_standbys_host(hosts: tuple[Network, Network], tmp_path: Path) -> None:
    """Proves: a network whose Central stands by is up and well there, and each verb names the one
    that serves; with both addresses, or on the other host, it is seen who stands by, although a
    standby knows no token; a switch by hand is one sentence, done or not."""
    a, b = hosts
    served = f"127.0.0.1:{a.ports[8000]}"
    up = started(a)
    assert "does not serve" not in up
    up = started(b)
    sentence = f"Central does not serve: standing by for {served}."
    assert sentence in up

    status, doctor, handover = b.evd("status"), b.evd("doctor"), b.evd("central", "handover")
    assert (status.returncode, sentence in status.stdout) == (1, True)
    assert (doctor.returncode, doctor.stdout) == (0, "Everything is as it should be.\n")
    assert (handover.returncode, handover.stderr) == (1, f"evd: {sentence}\n")

    # For a moment after its start a standby does not know yet that it has Kafka.
    stands_by = f"; 127.0.0.1:{b.ports[8000]} stands by"
    wait_until(lambda: stands_by in a.evd("status").stdout, BOUND_S, "b is seen at a")
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text(json.loads(a.evd("token", "new", "ops", "viewer", "--json").stdout)["token"])
    urls = [f"http://127.0.0.1:{each.ports[8000]}" for each in (b, a)]
    env = {"EVD_CENTRAL_URL": ",".join(urls), "EVD_TOKEN_FILE": str(token)}
    seen = b.evd("status", **env)
    assert f"Central at {urls[0]}: stands by (standing by for {served})" in seen.stdout
    assert f"Central at {urls[1]}: serves{stands_by}" in seen.stdout
    assert seen.returncode == 0
    assert b.evd("doctor", **env).returncode == 0

    done = a.evd("central", "handover")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"serves: 127.0.0.1:{b.ports[8000]}\n" in done.stdout
    wait_until(lambda: b.evd("status").returncode == 0, BOUND_S, "b serves")
    wait_until(
        lambda: f"standing by for 127.0.0.1:{b.ports[8000]}" in a.evd("status").stdout,
        BOUND_S,
        "a stands by",
    )
