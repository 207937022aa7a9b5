"""Logging in: the cookie, the token for programs, the ticket, and all that ends them."""

import base64
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from evd.adapters.http.access.credentials import SESSION_COOKIE
from evd.core.access.access import Access
from evd.core.access.roles import Auth, Role
from evd.core.access.tokens import digest
from evd.core.effects import Now
from evd.daemons.clock import now
from tests.adapters.http.access_scene import PASSWORD, Doorway, doorway
from tests.adapters.http.fake_central import assert_error

ORIGIN = {"Origin": "http://127.0.0.1"}
ALICE = {"user": "alice", "password": PASSWORD}


async def logged_in(door: Doorway, body: dict[str, str] = ALICE, **headers: str) -> httpx.Response:
    """The answer to a login that is right."""
    answer = await door.asked("POST", "/auth/login", json=body, **headers)
    assert answer.status_code == 200, answer.text
    return answer


def cookie_in(answer: httpx.Response) -> str:
    """The secret in the cookie of a login."""
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == SESSION_COOKIE
    return str(rest.partition(";")[0])


async def test_a_page_gets_a_cookie_alone() -> None:
    """Proves: a browser gets a cookie that no script and no other site can use, and nothing else
    that opens anything; the same cookie lets it in."""
    async with doorway() as door:
        await door.add_user("alice", Role.OPERATOR)
        answer = await logged_in(door, Origin=door.base)
        assert set(answer.json()) == {"role", "expires_at"}
        assert answer.json()["role"] == "operator"
        parts = {part.strip() for part in answer.headers["set-cookie"].split(";")[1:]}
        assert parts == {"Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"}
        cookie = cookie_in(answer)
        assert len(cookie) >= 43
        assert (
            await door.asked("GET", "/cp", Cookie=f"a=b; evd_session={cookie}")
        ).status_code == 200
        assert_error(await door.asked("GET", "/cp", Cookie=f"evd_session={cookie}x"), 401)
        assert_error(await door.asked("GET", "/cp", Cookie=f"evd_driver_x={cookie}"), 401)
        # Central keeps no more than the digest.
        assert cookie not in repr(door.central.asked)


async def test_a_page_of_another_host_may_change_nothing() -> None:
    """Proves: a cookie is of no use to another site's page."""
    async with doorway() as door:
        await door.add_user("alice", Role.ADMIN)
        cookie = {"Cookie": f"evd_session={cookie_in(await logged_in(door))}"}
        answer = await door.asked("POST", "/cp/CP-001/stop", Origin="http://evil.example", **cookie)
        assert_error(answer, 403)
        assert_error(await door.asked("POST", "/auth/login", json=ALICE, Origin="http://evil"), 403)
        assert (await door.asked("POST", "/cp/CP-001/stop", Origin=door.base, **cookie)).is_success


async def test_a_program_gets_a_token_too() -> None:
    """Proves: a login without an Origin is answered with a signed token, which is a bearer token
    and says who, which role, and since which uptime."""
    async with doorway() as door:
        await door.add_user("alice", Role.VIEWER)
        token = (await logged_in(door)).json()["token"]
        head, claims, _ = (base64.urlsafe_b64decode(f"{part}===") for part in token.split("."))
        assert json.loads(head)["alg"] == "HS256"
        told = json.loads(claims)
        assert told["sub"] == "alice"
        assert told["role"] == "viewer"
        assert told["up_s"] == pytest.approx(door.central.uptime_s, abs=0.01)
        assert {"jti", "iat", "exp"} <= set(told)
        assert (await door.asked("GET", "/cp", token)).status_code == 200
        assert (await door.asked("POST", "/cp/CP-001/stop", token)).status_code == 403


async def test_a_signed_token_ends_by_uptime() -> None:
    """Proves: fifteen minutes of Central's uptime end it, whatever any clock says; and no change to
    it is taken."""
    async with doorway() as door:
        await door.add_user("alice", Role.VIEWER)
        token = (await logged_in(door)).json()["token"]
        head, claims, signature = token.split(".")
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        role = json.loads(base64.urlsafe_b64decode(f"{claims}==="))
        role["role"] = "admin"
        more = base64.urlsafe_b64encode(json.dumps(role).encode()).rstrip(b"=").decode()
        for wrong in (f"{none}.{claims}.", f"{head}.{more}.{signature}", f"{head}.{claims}.AAAA"):
            assert_error(await door.asked("GET", "/cp", wrong), 401)
        door.central.uptime_s += 899.0
        assert (await door.asked("GET", "/cp", token)).status_code == 200
        door.central.uptime_s += 2.0
        assert_error(await door.asked("GET", "/cp", token), 401)


async def test_a_token_logs_in_as_well() -> None:
    """Proves: who has a token alone can use the page, as that token's role; a wrong one is told as
    such, and never shown."""
    async with doorway() as door:
        token = door.token_of(Role.DRIVER, "driver-alice")
        answer = await logged_in(door, {"token": token})
        assert answer.json()["role"] == "driver"
        cookie = f"evd_session={cookie_in(answer)}"
        assert (await door.asked("GET", "/cp", Cookie=cookie)).status_code == 200
        wrong = "evd_admin_" + "B" * 43
        for shown, status in ((wrong, 401), ("B" * 43, 400)):
            answer = await door.asked("POST", "/auth/login", json={"token": shown})
            assert answer.status_code == status
            assert shown not in answer.text
        door.central.access.revoke_token("driver-driver-alice", now())
        assert_error(await door.asked("GET", "/cp", Cookie=cookie), 401)


@pytest.mark.parametrize("user", ["alice", "nobody"])
async def test_a_wrong_password_is_told_like_an_unknown_name(user: str) -> None:
    """Proves: nobody learns from the answer which names there are, and too many tries are told to
    wait."""
    async with doorway() as door:
        await door.add_user("alice", Role.ADMIN)
        body = {"user": user, "password": "wrong horse battery"}
        answers = [await door.asked("POST", "/auth/login", json=body) for _ in range(6)]
        assert [each.status_code for each in answers] == [401] * 5 + [429]
        assert {each.json()["error"] for each in answers[:5]} == {"wrong name or password"}
        assert 1 <= int(answers[5].headers["retry-after"]) <= 60
        assert "wrong horse" not in repr(door.central.asked)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user"),
        ({"user": "alice"}, "password"),
        ({"user": "a b", "password": "x"}, "user"),
        ({"user": "alice", "password": 5}, "password"),
        ({"user": "alice", "password": "s3cret" * 1000}, "password"),
        ({"token": {"s3cret": 1}}, "token"),
    ],
)
async def test_a_wrong_login_names_its_field(body: dict[str, Any], field: str) -> None:
    """Proves: a login of another form is a 400 that names the field and shows no secret."""
    async with doorway() as door:
        answer = await door.asked("POST", "/auth/login", json=body)
        assert "s3cret" not in assert_error(answer, 400, field)


Ending = Callable[[Access, Now], object]


@pytest.mark.parametrize(
    "end",
    [
        lambda access, moment: access.set_password("alice", "$argon2id$x", moment),
        lambda access, moment: access.set_role("alice", Role.VIEWER, moment),
        lambda access, moment: access.remove_user("alice", moment),
    ],
)
async def test_a_changed_user_is_out(end: Ending) -> None:
    """Proves: another password, another role or a removal ends cookie and token at once."""
    async with doorway() as door:
        await door.add_user("root", Role.ADMIN)
        await door.add_user("alice", Role.ADMIN)
        answer = await logged_in(door)
        cookie = {"Cookie": f"evd_session={cookie_in(answer)}"}
        end(door.central.access, now())
        assert_error(await door.asked("GET", "/cp", answer.json()["token"]), 401)
        assert_error(await door.asked("GET", "/cp", **cookie), 401)


async def test_logging_out_ends_cookie_and_token() -> None:
    """Proves: after a logout neither is good, and the browser forgets its cookie."""
    async with doorway() as door:
        await door.add_user("alice", Role.ADMIN)
        answer = await logged_in(door)
        cookie = {"Cookie": f"evd_session={cookie_in(answer)}"}
        out = await door.asked("POST", "/auth/logout", Origin=door.base, **cookie)
        assert out.status_code == 204
        assert out.headers["set-cookie"].startswith("evd_session=; Path=/; Max-Age=0")
        assert_error(await door.asked("GET", "/cp", answer.json()["token"]), 401)
        assert_error(await door.asked("GET", "/cp", **cookie), 401)


async def test_a_ticket_is_good_once() -> None:
    """Proves: a ticket names its caller once, and is kept as its digest alone."""
    async with doorway() as door:
        token = door.token_of(Role.VIEWER)
        answer = await door.asked("POST", "/feed/ticket", token)
        assert answer.status_code == 201
        ticket = answer.json()["ticket"]
        assert answer.json()["feed_port"] == door.central.feed_port
        given = door.logins.tickets.use(ticket)
        assert given is not None
        assert given.caller is not None
        assert given.caller.proof == digest(token)
        assert door.logins.tickets.use(ticket) is None


async def test_users_are_made_and_shown_without_secrets() -> None:
    """Proves: an admin adds, lists and removes users, the last admin stays, and nothing shows a
    password or its hash."""
    async with doorway() as door:
        root = door.token_of(Role.ADMIN)
        body = {"user": "alice", "password": PASSWORD, "role": "admin"}
        answer = await door.asked("POST", "/users", root, body)
        assert (answer.status_code, answer.json()) == (201, {"user": "alice", "role": "admin"})
        assert_error(await door.asked("POST", "/users", root, body), 409, "user")
        assert (await door.asked("GET", "/users", root)).json() == {
            "users": [{"user": "alice", "role": "admin"}]
        }
        assert PASSWORD not in repr(door.central.asked)
        assert "argon2" not in repr(door.central.asked)
        assert_error(await door.asked("DELETE", "/users/alice", root), 409, "user")
        body = {"user": "bob", "password": PASSWORD, "role": "admin"}
        assert (await door.asked("POST", "/users", root, body)).status_code == 201
        assert (await door.asked("DELETE", "/users/alice", root)).status_code == 204
        assert_error(await door.asked("DELETE", "/users/alice", root), 404, "user")
        path = "/users/bob/password"
        answer = await door.asked("POST", path, root, {"password": "another password"})
        assert answer.status_code == 204
        assert_error(await door.asked("POST", "/auth/login", json={**body, "role": ""}), 401)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user": "a", "password": "short", "role": "admin"}, "password"),
        ({"user": "a", "password": "x" * 1025, "role": "admin"}, "password"),
        ({"user": "a", "password": PASSWORD, "role": "driver"}, "role"),
        ({"user": "-", "password": PASSWORD, "role": "admin"}, "user"),
        ({"user": "a", "password": PASSWORD}, "role"),
    ],
)
async def test_a_wrong_user_names_its_field(body: dict[str, Any], field: str) -> None:
    """Proves: a value out of its form is a 400 that names the field."""
    async with doorway() as door:
        answer = await door.asked("POST", "/users", door.token_of(Role.ADMIN), body)
        assert_error(answer, 400, field)


async def test_tokens_are_told_once() -> None:
    """Proves: a new token is in its answer alone, opens what its role may, and is over once it is
    revoked."""
    async with doorway() as door:
        root = door.token_of(Role.ADMIN)
        body = {"name": "grafana", "role": "viewer", "days": 7}
        answer = await door.asked("POST", "/tokens", root, body)
        assert answer.status_code == 201
        token = answer.json()["token"]
        assert token.startswith("evd_viewer_")
        assert (await door.asked("GET", "/metrics", token)).status_code == 200
        shown = await door.asked("GET", "/tokens", root)
        assert token not in shown.text
        assert digest(token) not in shown.text
        assert "grafana" in shown.text
        assert token not in repr(door.central.asked)
        assert (await door.asked("DELETE", "/tokens/grafana", root)).status_code == 204
        assert_error(await door.asked("GET", "/metrics", token), 401)


async def test_a_token_of_a_charging_point_or_driver() -> None:
    """Proves: each gets a token of its role, a given one is taken as it is, one of another role is
    refused without being shown."""
    async with doorway() as door:
        root = door.token_of(Role.ADMIN)
        made = (await door.asked("POST", "/cp/CP-007/token", root)).json()["token"]
        assert made.startswith("evd_monitor_")
        given = {"token": "evd_monitor_" + "C" * 43, "now": True}
        answer = await door.asked("POST", "/cp/CP-007/token", root, given)
        assert answer.json()["token"] == given["token"]
        body = {"driver_id": "driver-bob", "token": given["token"]}
        assert_error(await door.asked("POST", "/drivers", root, body), 400, "token")
        token = (await door.asked("POST", "/drivers", root, {"driver_id": "driver-bob"})).json()[
            "token"
        ]
        assert (await door.asked("GET", "/cp", token)).status_code == 200
        assert (await door.asked("DELETE", "/drivers/driver-bob", root)).status_code == 204
        assert_error(await door.asked("GET", "/cp", token), 401)
        # A monitor has no HTTP.
        assert_error(await door.asked("GET", "/cp", made), 401)


async def test_the_audit_shows_addresses_to_admins_alone() -> None:
    """Proves: an operator sees the calls about one charging point, without where they came from."""
    async with doorway() as door:
        seen = (await door.asked("GET", "/audit", door.token_of(Role.ADMIN))).json()["audit"][0]
        assert (seen["id"], seen["who"], seen["action"]) == (7, "alice", "cp stop")
        assert seen["address"] == "192.0.2.1"
        path, token = "/audit?cp_id=CP-001", door.token_of(Role.OPERATOR)
        assert (await door.asked("GET", path, token)).json()["audit"][0]["address"] is None
        assert_error(await door.asked("GET", "/audit", token), 403, "cp_id")


async def test_a_copy_of_access_goes_over_the_admin_socket_alone() -> None:
    """Proves: an admin who calls from elsewhere gets no hashes and brings none in."""
    async with doorway() as door:
        token = door.token_of(Role.ADMIN)
        assert_error(await door.asked("GET", "/access/export", token), 403)
        body = {"access": {}, "apply": True}
        assert_error(await door.asked("POST", "/access/import", token, body), 403)
        assert_error(await door.asked("POST", "/central/backup", token, {"file": "x"}), 403)


async def test_few_logins_are_checked_at_once() -> None:
    """Proves: of a flood of logins two are at work and ten wait; the others are told to come
    again."""
    async with doorway(Auth.OFF) as door:
        statuses: list[int] = []

        async def log_in(number: int) -> None:
            body = {"user": f"user-{number}", "password": "wrong horse battery"}
            statuses.append((await door.asked("POST", "/auth/login", json=body)).status_code)

        async with trio.open_nursery() as nursery:
            for number in range(16):
                nursery.start_soon(log_in, number)
        assert statuses.count(503) <= 4
        assert set(statuses) <= {401, 503}
