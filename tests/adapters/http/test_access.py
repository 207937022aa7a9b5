"""Central's HTTP with logins required: who may call what, and in which order a call is refused."""

from typing import Any

import pytest
import trio

from evd.adapters.http.access.rates import Rate
from evd.adapters.http.access.rights import right_of
from evd.adapters.http.connection import BODY_BYTES_MAX
from evd.adapters.store.failures import StoreFailed
from evd.core.access.events import LoginDone
from evd.core.access.roles import Auth, Right, Role
from evd.core.central.events import CpStopAsked
from tests.adapters.http.access_scene import PASSWORD, Doorway, doorway
from tests.adapters.http.fake_central import FakeCentral, app_of, assert_error
from tests.adapters.http.site import WAIT_S_MAX

UNKNOWN_TOKEN = "evd_admin_" + "A" * 43
ROLES = (Role.VIEWER, Role.OPERATOR, Role.ADMIN, Role.DRIVER)
# A call for each right, and the roles of the contract's table that may make it.
CALLS = [
    ("GET", "/cp", set(ROLES)),
    ("GET", "/cp/CP-001", set(ROLES)),
    ("GET", "/telemetry", set(ROLES)),
    ("GET", "/sessions", set(ROLES)),
    ("GET", "/sessions/session-1", set(ROLES)),
    ("GET", "/requests/req-1", set(ROLES)),
    ("GET", "/reports", set(ROLES)),
    ("GET", "/openapi.json", set(ROLES)),
    ("GET", "/docs", set(ROLES)),
    ("POST", "/feed/ticket", set(ROLES)),
    ("GET", "/faults", {Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    ("GET", "/faults/statistics", {Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    ("GET", "/health/history", {Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    ("GET", "/metrics", {Role.VIEWER, Role.OPERATOR, Role.ADMIN}),
    ("DELETE", "/requests/req-1", {Role.OPERATOR, Role.ADMIN, Role.DRIVER}),
    ("POST", "/sessions/session-1/stop", {Role.OPERATOR, Role.ADMIN, Role.DRIVER}),
    ("POST", "/cp/CP-001/stop", {Role.OPERATOR, Role.ADMIN}),
    ("POST", "/cp/CP-001/resume", {Role.OPERATOR, Role.ADMIN}),
    ("POST", "/cp/CP-001/shutdown", {Role.OPERATOR, Role.ADMIN}),
    ("GET", "/audit?cp_id=CP-001", {Role.OPERATOR, Role.ADMIN}),
    ("GET", "/audit", {Role.ADMIN}),
    ("DELETE", "/cp/CP-001", {Role.ADMIN}),
    ("POST", "/sessions/session-1/accept", {Role.ADMIN}),
    ("POST", "/sessions/session-1/void", {Role.ADMIN}),
    ("GET", "/users", {Role.ADMIN}),
    ("GET", "/tokens", {Role.ADMIN}),
    ("POST", "/cp/CP-001/token", {Role.ADMIN}),
]


def last_login(door: Doorway) -> LoginDone:
    """The newest thing that Central was asked, which is a login."""
    event = door.central.asked[-1]
    assert isinstance(event, LoginDone)
    return event


@pytest.mark.parametrize(("method", "path", "allowed"), CALLS)
async def test_each_role_may_do_what_the_table_says(
    method: str, path: str, allowed: set[Role]
) -> None:
    """Proves: a stranger is told 401 with how to log in, a role without the right 403, and others
    are answered."""
    async with doorway() as door:
        answer = await door.asked(method, path)
        assert_error(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Bearer")
        for role in ROLES:
            token = door.token_of(role, "driver-alice" if role is Role.DRIVER else None)
            answer = await door.asked(method, path, token)
            assert (answer.status_code < 300) == (role in allowed), (role, answer.text)
            if role not in allowed:
                assert answer.status_code == 403


async def test_every_route_says_which_right_it_needs() -> None:
    """Proves: no route can be added without a right, or openly left to strangers; those are the
    pages, the health and the login alone."""
    routes = [each for each in app_of(FakeCentral()).routes if hasattr(each, "route_handlers")]
    handlers = [handler for each in routes for handler in each.route_handlers]
    rights = [(path, right_of(each)) for each in handlers for path in each.paths]
    strangers = {path for path, right in rights if right is None}
    assert strangers == {"/", "/health", "/auth/login", "/web/{file:path}"}
    assert {right for _, right in rights} == {None, *Right}


async def test_a_stranger_learns_no_path() -> None:
    """Proves: whatever a stranger calls is 401, also an unknown path, a wrong method, a wrong body;
    who is known hears what is wrong."""
    calls: list[tuple[str, str, Any, int]] = [
        ("GET", "/nothing", None, 404),
        ("PUT", "/cp", None, 405),
        ("GET", "/cp/a%20b", None, 400),
        ("GET", "/cp?x=1", None, 400),
        ("POST", "/request/charge", {"driver_id": 5}, 400),
    ]
    async with doorway() as door:
        token = door.token_of(Role.ADMIN)
        for method, path, body, status in calls:
            assert_error(await door.asked(method, path, json=body), 401)
            assert (await door.asked(method, path, token, body)).status_code == status


async def test_a_stranger_s_body_is_not_read() -> None:
    """Proves: a stranger is refused before any of its body, however large or slow, is taken."""
    async with doorway() as door, door.client() as client:
        answer = await client.post("/request/charge", content=b"x" * 4 * BODY_BYTES_MAX)
        assert_error(answer, 401)
        head = {"Content-Length": "5", "Content-Type": "application/json"}
        stream = await trio.open_tcp_stream("127.0.0.1", client.base_url.port or 0)
        async with stream:
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            await stream.send_all(
                f"POST /users HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode()
            )
            with trio.fail_after(WAIT_S_MAX):
                assert (await stream.receive_some()).startswith(b"HTTP/1.1 401 ")


async def test_the_order_of_refusals() -> None:
    """Proves: a wrong name comes first, then the role, then what is wrong in the call."""
    async with doorway() as door:
        viewer = door.token_of(Role.VIEWER)
        assert_error(await door.asked("GET", "/cp", Host="evil.example"), 421)
        # Without the right, neither the type of the body nor its content is looked at.
        async with door.client(viewer) as client:
            answer = await client.post(
                "/cp/CP-001/stop", content=b"x", headers={"Origin": "http://x"}
            )
            assert_error(answer, 403)
            answer = await client.post("/users", content=b"x")
            assert_error(answer, 403)


@pytest.mark.parametrize(
    "secret", ["x", UNKNOWN_TOKEN, "a.b.c", "x" * 5000, "evd_admin_" + "ä" * 43]
)
async def test_a_secret_that_is_not_known_is_none(secret: str) -> None:
    """Proves: no made-up token, however formed, opens anything; the page itself stays open."""
    async with doorway() as door:
        headers = {b"Authorization": b"Bearer " + secret.encode()}
        async with door.client() as client:
            for method, path in (("GET", "/cp"), ("POST", "/cp/CP-001/stop")):
                answer = await client.request(method, path, headers=headers)
                sentence = assert_error(answer, 401)
                assert secret == "x" or secret not in sentence
            assert (await client.get("/", headers=headers)).status_code == 200


async def test_a_stranger_hears_the_status_alone() -> None:
    """Proves: the health of Central tells strangers and drivers no id, version or reason."""
    async with doorway() as door:
        assert (await door.asked("GET", "/health")).json() == {"status": "healthy"}
        driver = door.token_of(Role.DRIVER, "driver-alice")
        assert (await door.asked("GET", "/health", driver)).json() == {"status": "healthy"}
        seen = (await door.asked("GET", "/health", door.token_of(Role.VIEWER))).json()
        assert seen["central_id"] == "central-1"
        assert seen["auth"] == "required"
        door.central.reason = "the database is away"
        answer = await door.asked("GET", "/health")
        assert answer.status_code == 503
        assert answer.json() == {"status": "unhealthy"}


async def test_a_standby_tells_everybody_who_serves() -> None:
    """Proves: a Central that stands by has read no token and knows nobody, so its health tells a
    stranger what each other path tells, and no more."""
    async with doorway() as door:
        door.central.reason, door.central.stands_by = "standing by for a:8000", True
        door.central.failure = StoreFailed("Central is starting")
        for token in (None, UNKNOWN_TOKEN):
            answer = await door.asked("GET", "/health", token)
            assert answer.status_code == 503
            assert answer.json() == {
                "status": "unhealthy",
                "error": "standing by for a:8000",
                "code": "standing_by",
            }


async def test_a_driver_sees_its_own_affairs_alone() -> None:
    """Proves: of others a driver sees neither name, session nor meter, and asks for nothing of
    theirs."""
    async with doorway() as door:
        alice, bob = (door.token_of(Role.DRIVER, f"driver-{each}") for each in ("alice", "bob"))
        own = (await door.asked("GET", "/cp/CP-001", alice)).json()
        assert own["current_driver"] == "driver-alice"
        assert own["telemetry"]["kw"] == 22.0
        other = (await door.asked("GET", "/cp/CP-001", bob)).json()
        assert other["current_driver"] is other["current_session"] is other["telemetry"] is None
        assert other["state"] == "ON"
        text = (await door.asked("GET", "/cp", bob)).text
        assert "driver-alice" not in text
        assert "session-1" not in text
        assert (await door.asked("GET", "/telemetry", bob)).json() == {"telemetry": []}
        for path, field in (
            ("/sessions/session-1", "session_id"),
            ("/requests/req-1", "request_id"),
        ):
            assert (await door.asked("GET", path, alice)).status_code == 200
            assert_error(await door.asked("GET", path, bob), 404, field)
        for path in ("/sessions", "/reports"):
            answer = await door.asked("GET", f"{path}?driver_id=driver-alice", bob)
            assert_error(answer, 403, "driver_id")
            await door.asked("GET", path, bob)
            assert "driver-bob" in str(door.central.queries[-1])
        body = {"driver_id": "driver-alice", "cp_id": "CP-001"}
        assert_error(await door.asked("POST", "/request/charge", bob, body), 403, "driver_id")
        assert (await door.asked("POST", "/request/charge", alice, body)).status_code == 202
        for method, path in (("DELETE", "/requests/req-1"), ("POST", "/sessions/session-1/stop")):
            assert (await door.asked(method, path, bob)).status_code == 404
        assert len(door.central.asked) == 1


async def test_events_say_who_asked() -> None:
    """Proves: what is decided knows its caller, and the audit hears of a call beyond a role."""
    async with doorway() as door:
        await door.asked("POST", "/cp/CP-001/stop", door.token_of(Role.OPERATOR))
        (event,) = door.central.asked
        assert isinstance(event, CpStopAsked)
        assert (event.by.name, event.by.role) == ("operator-None", Role.OPERATOR)
        await door.asked("POST", "/cp/CP-001/stop", door.token_of(Role.VIEWER))
        (told,) = door.central.told
        assert (told.by.role, told.object, told.outcome) == (Role.VIEWER, "CP-001", "refused")


async def test_off_asks_nobody() -> None:
    """Proves: with --auth off nothing is asked for and nothing is looked at, not even a wrong
    token."""
    async with doorway(Auth.OFF) as door:
        plain = await door.asked("GET", "/cp")
        assert plain.status_code == 200
        assert (await door.asked("GET", "/cp", "evd_viewer_wrong")).content == plain.content
        assert (await door.asked("POST", "/cp/CP-001/stop")).status_code == 202
        health = (await door.asked("GET", "/health")).json()
        assert set(health) == {"status", "service", "uptime_s", "central_id", "unreadable"}
        assert door.central.would_refuse == []


async def test_warn_takes_all_and_counts_what_required_refuses() -> None:
    """Proves: with --auth warn every call goes on, and strangers and roles without the right are
    counted, with who they are."""
    async with doorway(Auth.WARN) as door:
        assert (await door.asked("GET", "/health")).json()["auth"] == "warn"
        assert door.central.would_refuse == []
        assert (await door.asked("GET", "/cp")).status_code == 200
        assert (await door.asked("POST", "/cp/CP-001/stop", door.token_of(Role.VIEWER))).is_success
        assert door.central.would_refuse == ["http", "http"]
        answer = (await door.asked("GET", "/access/ready", door.token_of(Role.ADMIN))).json()
        assert answer["auth"] == "warn"
        # An admin's good token at this address has cleared the strangers of the same one.
        assert {each["kind"] for each in answer["refused"]} <= {"caller"}


@pytest.mark.parametrize("auth", [Auth.REQUIRED, Auth.WARN])
async def test_each_request_of_a_connection_is_its_own_caller_s(auth: Auth) -> None:
    """Proves: over one connection that is kept, each request has the rights and the name of what it
    shows itself, and of no request before it: of another token, or of none."""
    async with doorway(auth) as door, door.client() as client:
        ends = set()

        async def called(method: str, path: str, role: Role | None) -> int:
            shown = {} if role is None else {"Authorization": f"Bearer {door.token_of(role)}"}
            async with client.stream(method, path, headers=shown) as answer:
                ends.add(answer.extensions["network_stream"].get_extra_info("client_addr"))
                await answer.aread()
            return answer.status_code

        is_bound = auth is Auth.REQUIRED
        assert await called("GET", "/users", Role.ADMIN) == 200
        assert await called("POST", "/cp/CP-001/stop", Role.OPERATOR) == 202
        (asked,) = (each for each in door.central.asked if isinstance(each, CpStopAsked))
        assert asked.by.name == "operator-None"
        assert await called("GET", "/users", Role.VIEWER) == (403 if is_bound else 200)
        assert await called("GET", "/users", Role.ADMIN) == 200
        assert door.central.would_refuse == ([] if is_bound else ["http"])
        # The last: who refuses a stranger closes the connection.
        assert await called("GET", "/users", None) == (401 if is_bound else 200)
        assert door.central.would_refuse == ([] if is_bound else ["http", "http"])
        assert len(ends) == 1


async def test_nobody_is_known_before_the_database_was_read() -> None:
    """Proves: where nobody can be known, calls are refused with 503 and none goes through."""
    async with doorway() as door:
        door.central.failure = StoreFailed("it is away")
        assert (await door.asked("GET", "/cp", UNKNOWN_TOKEN)).status_code == 503
        assert (await door.asked("GET", "/")).status_code == 200
        assert (await door.asked("GET", "/cp")).status_code == 401


async def test_requests_are_bounded_for_each_address() -> None:
    """Proves: beyond the burst an address is told 429 and when to come again, before it is known
    who asks; those who watch have a bound of their own."""
    async with doorway(rate=Rate(0.5, 3)) as door:
        token = door.token_of(Role.ADMIN)
        answers = [await door.asked("GET", "/cp", token) for _ in range(5)]
        assert [each.status_code for each in answers[:3]] == [200] * 3
        assert answers[4].status_code == 429
        assert int(answers[4].headers["retry-after"]) >= 1
        assert_error(await door.asked("GET", "/cp"), 429)
        assert (await door.asked("GET", "/health")).status_code == 200


@pytest.mark.parametrize("auth", [Auth.OFF, Auth.WARN])
@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For"])
async def test_a_proxy_before_an_open_central_is_refused(auth: Auth, header: str) -> None:
    """Proves: a proxy on this host can't let others in where nobody is asked who it is."""
    async with doorway(auth) as door:
        assert_error(await door.asked("GET", "/cp", **{header: "192.0.2.7"}), 421)


async def test_a_trusted_proxy_tells_the_address() -> None:
    """Proves: the address that a named proxy tells counts, and its https makes the cookie Secure,
    also where nobody need log in; the same header from elsewhere does not."""
    forwarded = {"X-Forwarded-For": "203.0.113.9, 192.0.2.7", "X-Forwarded-Proto": "https"}
    body = {"user": "alice", "password": PASSWORD}
    for auth in (Auth.REQUIRED, Auth.OFF):
        async with doorway(auth, proxies=("127.0.0.1/32",)) as door:
            await door.add_user("alice", Role.ADMIN)
            answer = await door.asked("POST", "/auth/login", json=body, **forwarded)
            assert answer.status_code == 200
            assert "; Secure" in answer.headers["set-cookie"]
            assert last_login(door).address == "192.0.2.7"
    async with doorway() as door:
        await door.add_user("alice", Role.ADMIN)
        answer = await door.asked("POST", "/auth/login", json=body, **forwarded)
        assert "Secure" not in answer.headers["set-cookie"]
        assert last_login(door).address == "127.0.0.1"
