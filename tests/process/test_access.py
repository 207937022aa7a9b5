"""A real Central on loopback that asks who calls, from its first admin on."""

import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.network.certificates import Certificates, secret
from tests.network.network import Network
from tests.network.processes import free_port

PASSWORD = "correct horse battery"
DRIVER_TOKEN = "evd_driver_" + "a" * 43
# Told to a browser with each cookie.
SAFE = ("Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict")


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
    for each in (PASSWORD, token):
        assert each not in kept
        assert each not in central.logged()


def test_a_killed_central_s_socket_is_replaced(network: Network) -> None:
    """Proves: the file that a killed Central leaves behind keeps no later one from its socket."""
    central = network.programs["central"]
    central.kill()
    assert admin_socket(network).exists()
    central.start_until_ready()
    assert by_socket(network, "GET", "/users").json() == {"users": []}


def cookie_of(answer: httpx.Response) -> tuple[str, set[str]]:
    """The name of the cookie of a login, and what a browser is told to do with it."""
    assert answer.status_code == 200, answer.text
    cookie, *told = answer.headers["set-cookie"].split("; ")
    return cookie.partition("=")[0], {*told}


def page_of(network: Network, *flags: str) -> httpx.Client:
    """A client of the page of a driver that was started, which its token opens."""
    file = secret(network.folder / "driver.token", DRIVER_TOKEN)
    port = str(free_port())
    asking = ("--auth", "required", "--token-file", str(file), "--http-port", port)
    network.driver("driver-alice", flags=(*asking, *flags)).start_until_ready()
    scheme = network.url.partition(":")[0]
    verify = network.certificates.trusting() if network.certificates else False
    return httpx.Client(base_url=f"{scheme}://127.0.0.1:{port}", timeout=20, verify=verify)


@pytest.mark.parametrize("by_tls", [True, False], ids=["TLS", "behind a proxy"])
def test_a_login_s_cookie_is_kept_to_its_own_way(tmp_path: Path, by_tls: bool) -> None:
    """Proves: the cookie of a login, at Central and on a driver's page, is for no script and no
    other site; where the browser speaks TLS, with the program itself or with a proxy that is
    believed, it is for TLS alone, and in clear on loopback it is not."""
    certificates = Certificates(tmp_path / "certificates") if by_tls else None
    proxies = () if by_tls else ("--http-proxies", "127.0.0.1")
    forwarded = {} if by_tls else {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https"}
    ways = [(forwarded, {*SAFE, "Secure"}), *([] if by_tls else [({}, {*SAFE})])]
    alice = {"user": "alice", "password": PASSWORD}
    with Network(tmp_path, certificates=certificates) as network:
        # Neither of the two needs Kafka for a login.
        network.central("--auth", "required", *proxies).start_until_ready()
        made = by_socket(network, "POST", "/users", {**alice, "role": "viewer"})
        assert made.status_code == 201, made.text
        served = network.certificates.server_flags if network.certificates else proxies
        with page_of(network, *served) as page:
            for headers, wanted in ways:
                answer = network.http.post("/auth/login", json=alice, headers=headers, timeout=20)
                assert cookie_of(answer) == ("evd_session", wanted)
                body = {"token": DRIVER_TOKEN}
                answer = page.post("/auth/login", json=body, headers=headers)
                assert cookie_of(answer) == ("evd_driver_driver-alice", wanted)
