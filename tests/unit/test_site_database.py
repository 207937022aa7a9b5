"""The modules by which the playbooks make PostgreSQL's user, and find the Central that serves."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg.pq
import pytest

from tests.network.playbooks import module_of

pytestmark = pytest.mark.ansible

PASSWORD = "correct horse battery staple"
STANDS_BY = "standing by for central1:8000"


def _kept_by_libpq(password: str) -> str:
    """Return the verifier of a password as PostgreSQL's own library makes it."""
    connection = psycopg.pq.PGconn.connect_start(b"host=127.0.0.1 port=1")
    return connection.encrypt_password(password.encode(), b"evd", b"scram-sha-256").decode()


def test_a_password_is_known_by_its_verifier() -> None:
    """Proves: what the server keeps of a password tells that one from every other, also where it
    was made by PostgreSQL itself; what is made has a salt of its own each time."""
    postgresql = module_of("evd_postgresql")
    for kept in (postgresql.verifier(PASSWORD), _kept_by_libpq(PASSWORD)):
        assert kept.startswith("SCRAM-SHA-256$4096:")
        assert postgresql.is_of(PASSWORD, kept)
        assert not postgresql.is_of(PASSWORD + "s", kept)
    assert postgresql.verifier(PASSWORD) != postgresql.verifier(PASSWORD)
    for kept in ("", "md5c0ffee", "SCRAM-SHA-256$x:y$z"):
        assert not postgresql.is_of(PASSWORD, kept)


@pytest.fixture
def answers() -> Iterator[tuple[int, list[int]]]:
    """The port of a Central, and the statuses with which its health answers, one after the other;
    the last one goes on."""
    statuses: list[int] = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps({"error": STANDS_BY}).encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server.server_address[1], statuses
        server.shutdown()


def test_the_central_that_serves_is_found(answers: tuple[int, list[int]]) -> None:
    """Proves: one that answers well serves, also without TLS; one that stands by or is away does
    not, and says why."""
    port, statuses = answers
    serving = module_of("evd_serving")
    statuses[:] = [503, 200]
    assert serving.why_not(f"127.0.0.1:{port}") == STANDS_BY
    assert serving.why_not(f"127.0.0.1:{port}") == ""
    assert "refused" in serving.why_not("127.0.0.1:1")
