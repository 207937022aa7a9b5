"""Central on a PostgreSQL server that wants TLS and a password."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import attrs
import pytest

from tests.adapters.store.databases import connect, new_postgres_user, postgres_server
from tests.network.certificates import Certificates, secret
from tests.network.network import Network
from tests.network.processes import Program
from tests.network.waiting import wait_until

pytestmark = pytest.mark.postgres

BOUND_S: Final = 30.0
PASSWORD: Final = "hunter-2-of-the-database"
ENCRYPTED: Final = """
    SELECT count(*), bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
    WHERE application_name = 'evd-central' AND usename = %s
"""


@attrs.frozen
class Server:
    """A server, and the authority that its certificate is of."""

    directory: Path
    certificates: Certificates


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server by TLS."""
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    with postgres_server(certificates) as directory:
        yield Server(directory, certificates)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """The place of a Central, which needs no Kafka to open its database."""
    with Network(tmp_path) as network:
        yield network


def central_at(network: Network, address: str, *flags: str) -> Program:
    """A Central with this database, which asks its callers who they are."""
    db_url = f"postgresql+psycopg://{address}"
    return network.central("--auth", "required", "--db-url", db_url, *flags)


def checked(certificates: Certificates) -> str:
    """The part of an address that has the server's name and authority checked."""
    return f"sslmode=verify-full&sslrootcert={certificates.ca}"


def test_central_stores_by_tls_with_a_password_of_a_file(network: Network, server: Server) -> None:
    """Proves: Central opens a database by sslmode=verify-full with the password of
    --db-password-file, stores there, and each of its connections is encrypted; no line of its log
    has the password."""
    user, address = new_postgres_user(server.directory, PASSWORD)
    file = secret(network.folder / "password", PASSWORD)
    central = central_at(
        network,
        f"{user}@{address}/{user}?{checked(server.certificates)}",
        "--db-password-file",
        str(file),
    )
    central.start_until_ready()
    with connect(server.directory, user) as seen:
        stored = "SELECT count(*) FROM meta"
        wait_until(lambda: seen.execute(stored).fetchone() == (1,), BOUND_S, "it stores")
        count, is_encrypted = seen.execute(ENCRYPTED, (user,)).fetchone() or (0, False)
    assert count
    assert is_encrypted
    assert PASSWORD not in central.logged() + central.printed()


@pytest.mark.parametrize(
    ("is_password_right", "told"),
    [(True, "certificate verify failed"), (False, "password authentication failed")],
    ids=["another authority", "another password"],
)
def test_a_database_that_is_not_taken_is_named(
    network: Network, server: Server, tmp_path: Path, is_password_right: bool, told: str
) -> None:
    """Proves: a server of another authority is not believed, and one that does not take the
    password is not opened: the log says which it is, and never shows the password.  A Central that
    has no database ends at once when it is told to, also while it starts."""
    user, address = new_postgres_user(server.directory, PASSWORD)
    believed = Certificates(tmp_path / "other") if is_password_right else server.certificates
    shown = PASSWORD if is_password_right else f"no-{PASSWORD}"
    file = secret(network.folder / "password", shown)
    central = central_at(
        network,
        f"{user}@{address}/{user}?{checked(believed)}",
        "--db-password-file",
        str(file),
    )
    central.start()
    line = central.wait_for_line(told, BOUND_S)
    assert central.stop() == 0
    assert "cannot be opened" in line
    assert ":***@" in line
    assert PASSWORD not in central.logged() + central.printed()
    with connect(server.directory, user) as seen:
        assert seen.execute("SELECT to_regclass('meta')").fetchone() == (None,)


def test_a_password_inside_the_address_is_refused(network: Network, server: Server) -> None:
    """Proves: where callers are asked who they are, a password that stands in --db-url is code 2
    and one line that names the flag to use, without the password."""
    user, address = new_postgres_user(server.directory, PASSWORD)
    secured = checked(server.certificates)
    central = central_at(network, f"{user}:{PASSWORD}@{address}/{user}?{secured}").start()
    assert central.wait(BOUND_S) == 2
    (line,) = central.logged().splitlines()
    assert "--db-password-file" in line
    assert PASSWORD not in line
