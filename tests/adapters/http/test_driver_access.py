"""A driver's own page where it is asked who reads it: by that driver's token alone."""

from typing import Any

import httpx
import pytest
import trio

from evd.core.access.roles import Auth
from tests.adapters.http.driver_scene import ALICE, Scene, dashboard
from tests.adapters.http.fake_central import assert_error

TOKEN = "evd_driver_" + "A" * 43
OTHER = "evd_driver_" + "B" * 43
COOKIE = f"evd_driver_{ALICE}"
CALLS = [
    ("GET", "/charging-points"),
    ("GET", f"/drivers/{ALICE}/sessions/current"),
    ("GET", f"/drivers/{ALICE}/events"),
    ("POST", f"/drivers/{ALICE}/requests"),
    ("DELETE", f"/drivers/{ALICE}/requests/req-1"),
    ("POST", f"/drivers/{ALICE}/sessions/session-1/stop"),
    ("GET", "/openapi.json"),
    ("GET", "/nothing"),
]


def bearer(token: str) -> dict[str, str]:
    """The header of a program."""
    return {"Authorization": f"Bearer {token}"}


async def logged_in(s: Scene) -> str:
    """The secret of a login, which the client keeps as its cookie."""
    answer = await s.client.post("/auth/login", json={"token": TOKEN})
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"role", "expires_at"}
    assert answer.json()["role"] == "driver"
    secret: str = s.client.cookies[COOKIE]
    return secret


@pytest.mark.parametrize(("method", "path"), CALLS)
async def test_a_stranger_is_told_nothing(method: str, path: str) -> None:
    """Proves: without this driver's token every call is a 401, whatever it is; another token, one
    in the wrong cookie, and Central's cookie are none."""
    async with dashboard(Auth.REQUIRED, lambda: TOKEN) as s:
        shown: list[dict[str, str]] = [
            {},
            bearer(OTHER),
            bearer("ä"),
            {"Cookie": f"{COOKIE}={TOKEN}"},
            {"Cookie": f"evd_session={TOKEN}"},
        ]
        for headers in shown:
            raw = {name.encode(): value.encode() for name, value in headers.items()}
            assert_error(await s.client.request(method, path, headers=raw), 401)
        assert s.service.wanted == []


async def test_the_page_itself_is_open() -> None:
    """Proves: a stranger can load the page and log in on it, and is told no more than whether it
    works."""
    async with dashboard(Auth.REQUIRED, lambda: TOKEN) as s:
        for path in ("/", "/service_worker.js", "/web/shared/theme.css"):
            assert (await s.client.get(path)).status_code == 200
        assert await s.json("/health") == {"status": "healthy"}
        s.service.reason = "Kafka does not answer"
        assert await s.json("/health", 503) == {"status": "unhealthy"}
        assert (await s.client.get("/health", headers=bearer(TOKEN))).json()["driver_id"] == ALICE


async def test_a_login_lets_in_until_it_is_over() -> None:
    """Proves: the token gives a cookie of this driver's own name, which is good until the logout,
    also while Central is away."""
    async with dashboard(Auth.REQUIRED, lambda: TOKEN) as s:
        await logged_in(s)
        path = f"/drivers/{ALICE}/sessions/current"
        assert (await s.client.get(path)).status_code == 200
        s.stop_central.set()
        assert (await s.client.get(path)).status_code == 200
        assert (await s.client.post("/auth/logout")).status_code == 204
        assert COOKIE not in s.client.cookies
        assert_error(await s.client.get(path), 401)


async def test_a_new_token_ends_the_logins_of_the_old_one() -> None:
    """Proves: once the driver's file has another token, cookies of before are over and streams
    end."""
    tokens = [TOKEN]
    async with dashboard(Auth.REQUIRED, lambda: tokens[-1]) as s:
        secret = await logged_in(s)
        async with s.client.stream("GET", f"/drivers/{ALICE}/events") as events:
            assert events.status_code == 200
            tokens.append(OTHER)
            with trio.fail_after(2.0):
                async for _ in events.aiter_raw():
                    pass
        cookie = {"Cookie": f"{COOKIE}={secret}"}
        assert_error(await s.client.get("/charging-points", headers=cookie), 401)
        assert_error(await s.client.post("/auth/login", json={"token": TOKEN}), 401)


@pytest.mark.parametrize("body", [{"token": OTHER}, {"token": "s3cret"}, {"token": 5}, {}])
async def test_a_wrong_token_is_not_shown(body: dict[str, Any]) -> None:
    """Proves: a wrong login is told without what was typed."""
    async with dashboard(Auth.REQUIRED, lambda: TOKEN) as s:
        answer = await s.client.post("/auth/login", json=body)
        assert answer.status_code == (401 if body.get("token") == OTHER else 400)
        assert not body.get("token") or str(body["token"]) + '"' not in answer.text


@pytest.mark.parametrize("auth", [Auth.OFF, Auth.WARN])
async def test_off_and_warn_ask_nobody(auth: Auth) -> None:
    """Proves: nothing changes for a page whose driver has no token."""
    async with dashboard(auth) as s:
        answer: httpx.Response = await s.client.get("/charging-points")
        assert answer.status_code == 200
        assert (await s.client.get("/health")).json()["service"] == "evd-driver"
