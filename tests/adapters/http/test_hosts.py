"""The names that an HTTP server here answers to: a page of another name learns and does nothing."""

import socket

import pytest

from evd.adapters.http.connection import BODY_BYTES_MAX
from evd.adapters.http.hosts import Hosts
from tests.adapters.http.site import parsed, serving

OURS = Hosts(["Grid.Example", "plant."], "--http-hosts of evd-central")
NODE = socket.gethostname()

ANSWERED = [
    *("localhost", "localhost:8000", "LOCALHOST:8000", "localhost.", "localhost.:8000"),
    *("127.0.0.1", "127.0.0.1:8000", "192.0.2.7:1", "[::1]", "[::1]:8000", "[2001:DB8::7]:65535"),
    *(NODE, f"{NODE.upper()}:8000", NODE.partition(".")[0], "localhost:"),
    *("grid.example", "GRID.example.:9999", "plant:80"),
]
REFUSED = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "evil.localhost"),
    *("grid.example.evil.example", "x.grid.example", "localhost..", "grid.example..:80"),
    *("user@localhost", "localhost@evil.example:8000", "user:pass@127.0.0.1"),
    *("localhost:8000:8000", "localhost:http", "localhost:-1", "localhost:99999", "localhost::"),
    *("127.0.0.1.evil.example", "127.1", "0x7f.1", "2130706433", "127.0.0.1:80:80"),
    *("::1", "[::1", "::1]", "[::1]x", "[localhost]", "[127.0.0.1]", "[::1].evil.example"),
    *("localhost/", "localhost evil.example", "localhost, evil.example", "локальный", "*", "_"),
]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_only_these_names_are_answered(method: str) -> None:
    """Proves: an address, localhost, this machine's own name and those of the flag are answered,
    however they are written and by whatever port; any other is a 421 that names the flag, whether
    it would change something or only look, and the app is not asked."""
    async with serving(hosts=OURS) as served:
        for names, status in ((ANSWERED, 200), (REFUSED, 421)):
            for name in names:
                served.site.bodies.clear()
                head = f"{method} / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n"
                answer = await served.exchange(head.encode())
                assert int(answer.split()[1]) == status, name
                assert len(served.site.bodies) == (status == 200), name
                if status == 421:
                    assert "--http-hosts of evd-central" in parsed(answer)[1]["error"]


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("host", ["", "Host:\r\n", "Host:  \r\n"])
async def test_a_request_without_a_host_is_none(version: str, host: str) -> None:
    """Proves: without a Host, or with an empty one, nobody knows whom a request is for: 400."""
    async with serving(hosts=OURS) as served:
        request = f"GET / HTTP/{version}\r\n{host}\r\n".encode()
        assert parsed(await served.exchange(request))[0] == 400
        assert served.site.bodies == []


@pytest.mark.parametrize(
    ("target", "host", "status"),
    [
        ("http://localhost:8000/", "localhost:8000", 200),
        ("http://evil.example/", "localhost", 421),
        ("http://localhost/", "evil.example", 421),
        ("HTTP://user@localhost/", "localhost", 421),
        ("http:///", "localhost", 400),
    ],
)
async def test_a_target_with_a_host_has_to_name_ours(target: str, host: str, status: int) -> None:
    """Proves: who writes the whole address as a proxy's client does gets around nothing."""
    async with serving(hosts=OURS) as served:
        head = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        assert int((await served.exchange(head.encode())).split()[1]) == status


async def test_the_host_is_looked_at_before_all_else() -> None:
    """Proves: a page of another name does not learn which paths and methods there are, nor what
    is wrong with its call."""
    asked = [
        "BREW /nothing HTTP/1.1\r\n",
        "CONNECT x:80 HTTP/1.1\r\n",
        f"POST / HTTP/1.1\r\nContent-Length: {BODY_BYTES_MAX + 1}\r\n",
        "POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5\r\n",
        "GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    ]
    async with serving(hosts=OURS) as served:
        for each in asked:
            answer = await served.exchange(f"{each}Host: evil.example\r\n\r\n".encode())
            assert parsed(answer)[0] == 421, each
        head = await served.exchange(b"HEAD / HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 421 ")
        assert head.endswith(b"\r\n\r\n")


async def test_a_name_that_is_refused_ends_its_connection() -> None:
    """Proves: behind a refused name nothing of the same connection is begun."""
    more = b"POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with serving(hosts=OURS) as served:
        answer = await served.exchange(b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n" + more)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert served.site.bodies == []
