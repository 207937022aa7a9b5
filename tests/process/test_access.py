"""A real Central on loopback that asks who calls, from its first admin on."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.network.network import Network

PASSWORD = "correct horse battery"


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A broker and a Central that wants to know who calls."""
    with Network(tmp_path) as network:
        network.broker.start()
        central = network.central("--auth", "required")
        central.start_until_ready()
        yield network
        assert "Traceback" not in central.logged()


def admin_socket(network: Network) -> Path:
    """Where this Central's own user is admin."""
    return network.folder / "central" / "admin.sock"


def by_socket(network: Network, method: str, path: str, body: Any = None) -> httpx.Response:
    """The answer to a call over the admin socket."""
    transport = httpx.HTTPTransport(uds=str(admin_socket(network)))
    with httpx.Client(transport=transport, base_url="http://localhost", timeout=20) as client:
        return client.request(method, path, json=body)


def logged_in(network: Network, user: str) -> dict[str, str]:
    """The header with the token of a login."""
    body = {"user": user, "password": PASSWORD}
    answer = network.http.post("/auth/login", json=body, timeout=20)
    assert answer.status_code == 200, answer.text
    return {"Authorization": f"Bearer {answer.json()['token']}"}


def test_from_the_first_admin_on(network: Network) -> None:
    """Proves: on a Central that asks who calls, the first admin is made over the admin socket,
    which only its own user can open; people then log in and may do what their roles have; a
    restart ends the tokens in memory, and no secret is written down."""
    assert stat.S_IMODE(admin_socket(network).stat().st_mode) == 0o600
    assert network.http.get("/cp").status_code == 401
    for user, role in (("root", "admin"), ("olga", "operator"), ("vera", "viewer")):
        answer = by_socket(
            network, "POST", "/users", {"user": user, "password": PASSWORD, "role": role}
        )
        assert answer.status_code == 201, answer.text

    root, olga, vera = (logged_in(network, user) for user in ("root", "olga", "vera"))
    for caller in (root, olga, vera):
        assert network.http.get("/cp", headers=caller).status_code == 200
    assert network.http.post("/cp/CP-001/stop", headers=vera).status_code == 403
    assert network.http.post("/cp/CP-001/stop", headers=olga).status_code == 404
    assert network.http.get("/users", headers=olga).status_code == 403

    rows = network.http.get("/audit", headers=root).json()["audit"]
    told = [(row["who"], row["outcome"]) for row in rows if row["object"] == "CP-001"]
    assert told == [("olga", "refused"), ("vera", "refused")]
    assert [row["who"].partition(":")[0] for row in rows if row["action"] == "user add"] == [
        "local"
    ] * 3

    central = network.programs["central"]
    central.stop()
    assert not admin_socket(network).exists()
    central.start_until_ready()
    assert network.http.get("/cp", headers=root).status_code == 401
    assert network.http.get("/cp", headers=logged_in(network, "root")).status_code == 200
    with sqlite3.connect(network.folder / "central" / "central.db") as database:
        kept = "\n".join(database.iterdump())
    token = root["Authorization"].removeprefix("Bearer ")
    for secret in (PASSWORD, token):
        assert secret not in kept
        assert secret not in central.logged()


def test_a_killed_central_s_socket_is_replaced(network: Network) -> None:
    """Proves: the file that a killed Central leaves behind keeps no later one from its socket."""
    central = network.programs["central"]
    central.kill()
    assert admin_socket(network).exists()
    central.start_until_ready()
    assert by_socket(network, "GET", "/users").json() == {"users": []}
