"""The errors of Central's HTTP: one shape, the right status, the field that is wrong, no more."""

import logging
from typing import Any

import pytest

from evd.adapters.store.failures import StoreFailed
from tests.adapters.http.fake_central import Client, FakeCentral, assert_error

BAD_IDS = ("a b", "-first", ".first", "x" * 65, "naïve", "a%00b", "a%0A", "<b>", "%ff")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "driver_id"),
        ({"driver_id": None}, "driver_id"),
        ({"driver_id": 5}, "driver_id"),
        ({"driver_id": "a b"}, "driver_id"),
        ({"driver_id": ""}, "driver_id"),
        ({"driver_id": "d" * 65}, "driver_id"),
        ({"driver_id": "d", "cp_id": "x" * 33}, "cp_id"),
        ({"driver_id": "d", "cp_id": True}, "cp_id"),
        ({"driver_id": "d", "cp_id": ["CP-001"]}, "cp_id"),
        ({"driver_id": "d", "vehicle_id": {}}, "vehicle_id"),
        ({"driver_id": "d", "request_id": "\n"}, "request_id"),
    ],
)
async def test_a_wrong_field_is_named(client: Client, body: dict[str, Any], field: str) -> None:
    """Proves: a value outside its form is a 400 that names its field, and nothing is asked."""
    answer = await client.post("/request/charge", json=body)
    assert assert_error(answer, 400, field).startswith(field)
    assert client.service.asked == []


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b"null", b"\xff\xfe", b"{'driver_id': 'd'}", b"[" * 5000]
)
async def test_a_body_that_is_no_object(client: Client, body: bytes) -> None:
    """Proves: whatever is not a JSON object is a 400 with a sentence."""
    headers = {"Content-Type": "application/json"}
    assert_error(await client.post("/request/charge", content=body, headers=headers), 400)
    assert client.service.asked == []


@pytest.mark.parametrize("path", ["/request/charge", "/cp/CP-001/stop"])
@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded"])
async def test_a_body_of_another_type(client: Client, path: str, kind: str | None) -> None:
    """Proves: a body that is not declared as JSON, as a web page's form is not, is a 415."""
    headers = {} if kind is None else {"Content-Type": kind}
    answer = await client.post(path, content=b'{"driver_id": "d"}', headers=headers)
    assert_error(answer, 415)
    assert client.service.asked == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON"])
async def test_json_by_any_spelling(client: Client, kind: str) -> None:
    """Proves: the content type is read as the standard says, without case or parameters."""
    headers = {"Content-Type": kind}
    answer = await client.post("/request/charge", content=b'{"driver_id": "d"}', headers=headers)
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://evil.example:8000",
        "http://central.example",
        "http://central.example:8001",
        "http://central.example:8000.evil.example",
        "http://x@central.example:8000",
        "file://",
        "null",
        "http://[",
        "",
    ],
)
@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/cp/CP-001/stop"), ("DELETE", "/cp/CP-001")]
)
async def test_a_page_of_another_host_changes_nothing(
    client: Client, origin: str, method: str, path: str
) -> None:
    """Proves: a POST or DELETE that a page of another host sends is a 403."""
    assert_error(await client.request(method, path, headers={"Origin": origin}), 403)
    assert client.service.asked == []


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://central.example:8000", "central.example:8000"),
        ("http://Central.Example:8000", "central.example:8000"),
        ("http://central.example", "central.example:80"),
        ("https://central.example", "central.example"),
        ("http://[::1]:8000", "[::1]:8000"),
    ],
)
async def test_a_page_of_this_host_may_change(client: Client, origin: str, host: str) -> None:
    """Proves: the operator's own page works, also behind a proxy that speaks TLS."""
    headers = {"Origin": origin, "Host": host}
    assert (await client.post("/cp/CP-001/stop", headers=headers)).status_code == 202


async def test_no_other_site_is_let_in(client: Client) -> None:
    """Proves: no answer has a CORS header, a preflight's neither; reading needs no Origin."""
    headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}
    for method in ("GET", "OPTIONS"):
        answer = await client.request(method, "/cp", headers=headers)
        assert answer.is_success
        assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/sessions", "/faults", "/health/history"])
@pytest.mark.parametrize(
    "limit", ["0", "1001", "-1", "x", "", "1.0", "1e2", "+5", "0x10", "%D9%A3", "9" * 400]
)
async def test_a_limit_out_of_bounds(client: Client, path: str, limit: str) -> None:
    """Proves: a limit is a whole number from 1 to 1000, or a 400 that names it."""
    assert "1000" in assert_error(await client.get(f"{path}?limit={limit}"), 400, "limit")
    assert client.service.queries == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("/sessions?status=active", "status"),
        ("/sessions?status=", "status"),
        ("/sessions?status=null", "status"),
        ("/sessions?driver_id=a%20b", "driver_id"),
        ("/sessions?before=%2F", "before"),
        ("/sessions?since=2026-01-31", "since"),
        ("/sessions?since=2026-01-31T12:00:00", "since"),
        ("/sessions?until=", "until"),
        ("/sessions?until=1769860800", "until"),
        ("/sessions?since=2026-02-01T00:00:00Z&until=2026-01-31T12:00:00Z", "since"),
        ("/sessions?format=xml", "format"),
        ("/sessions?format=CSV", "format"),
        ("/sessions?format=csv&limit=1001", "limit"),
        ("/reports?by=year", "by"),
        ("/reports?by=", "by"),
        ("/reports?since=2026-02-01T00:00:00Z&until=2026-01-31T12:00:00Z", "since"),
        ("/reports?limit=5", "limit"),
        ("/faults/statistics?days=0", "days"),
        ("/faults/statistics?days=3651", "days"),
        *(
            (f"{path}?{query}", query.partition("=")[0])
            for path in ("/faults", "/health/history")
            for query in (
                *(f"before={bad}" for bad in ("", "0", "-1", "1.0", "1e2", "x", "null", "9" * 19)),
                "since=2026-01-31",
                "since=2026-02-01T00:00:00Z&until=2026-01-31T12:00:00Z",
                "until=now",
            )
        ),
        *((f"{path}?cp_id=", "cp_id") for path in ("/sessions", "/faults", "/health/history")),
        ("/faults/statistics?cp_id=a%00b", "cp_id"),
    ],
)
async def test_a_wrong_filter_is_named(client: Client, query: str, field: str) -> None:
    """Proves: a filter outside its form is a 400 that names it."""
    assert_error(await client.get(query), 400, field)
    assert client.service.queries == []


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/cp", "/cp/CP-001", "/sessions", "/metrics", "/docs"),
        "/web/shared/theme.css",
    ],
)
@pytest.mark.parametrize("name", ["colour", "Limit", "service", "state", "request"])
async def test_an_unknown_parameter_is_named(client: Client, path: str, name: str) -> None:
    """Proves: a query parameter that a call does not have is a 400 that names it, and does not
    pass for one that it has."""
    assert_error(await client.get(f"{path}?{name}=1"), 400, name)
    assert client.service.queries == []


@pytest.mark.parametrize("query", ["driver_id=d&driver_id=e", "limit=5&cp_id=CP-001&limit=5"])
async def test_a_parameter_stands_there_once(client: Client, query: str) -> None:
    """Proves: a filter that is given twice is a 400 that names it; neither is passed over."""
    name = query.partition("=")[0]
    assert "twice" in assert_error(await client.get(f"/sessions?{query}"), 400, name)
    assert client.service.queries == []


async def test_a_parameter_of_the_path_is_none_of_the_query(client: Client) -> None:
    """Proves: a charging point is named once, in the path."""
    assert_error(await client.get("/cp/CP-001?cp_id=CP-002"), 400, "cp_id")
    assert_error(await client.post("/cp/CP-001/stop?force=1"), 400, "force")


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("GET", "/cp/{}", "cp_id"),
        ("DELETE", "/cp/{}", "cp_id"),
        ("POST", "/cp/{}/stop", "cp_id"),
        ("POST", "/cp/{}/resume", "cp_id"),
        ("POST", "/cp/{}/shutdown", "cp_id"),
        ("GET", "/requests/{}", "request_id"),
        ("DELETE", "/requests/{}", "request_id"),
        *(("POST", f"/sessions/{{}}/{verb}", "session_id") for verb in ("stop", "accept", "void")),
    ],
)
async def test_a_malformed_id_in_a_path(
    client: Client, bad: str, method: str, path: str, field: str
) -> None:
    """Proves: an id outside its form is a 400 that names the field, and nothing is asked."""
    assert_error(await client.request(method, path.format(bad)), 400, field)
    assert (client.service.asked, client.service.queries) == ([], [])


@pytest.mark.parametrize(
    "path",
    [
        "/sessions",
        "/sessions?format=csv",
        "/requests/req-1",
        "/faults",
        "/faults/statistics",
        "/health/history",
        "/reports",
    ],
)
async def test_a_database_that_fails_is_503(path: str) -> None:
    """Proves: while the database does not answer, what needs it is a 503 with Retry-After."""
    async with Client(FakeCentral(failure=StoreFailed("the disk is full"))) as client:
        answer = await client.get(path)
        assert "the disk is full" in assert_error(answer, 503)
        assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize("path", ["/nope", "/cp/CP-001/nope", "/docs/x", "/schema", "/cp/a/b/c"])
async def test_an_unknown_path_is_404(client: Client, path: str) -> None:
    """Proves: an unknown path is a 404 in JSON, whatever the method."""
    for method in ("GET", "POST"):
        assert_error(await client.request(method, path), 404)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/cp", "GET, HEAD, OPTIONS"),
        ("/cp/CP-001", "DELETE, GET, HEAD, OPTIONS"),
        ("/requests/req-1", "DELETE, GET, HEAD, OPTIONS"),
        ("/request/charge", "OPTIONS, POST"),
        ("/openapi.json", "GET, HEAD, OPTIONS"),
    ],
)
async def test_options_say_what_a_405_says(client: Client, path: str, allowed: str) -> None:
    """Proves: a known path with another method is a 405 that says which are possible; who asks for
    them is told the same."""
    answer = await client.request("OPTIONS", path)
    assert (answer.status_code, answer.content) == (204, b"")
    for method in ("PUT", "TRACE", "INVENTED"):
        refused = await client.request(method, path)
        assert_error(refused, 405)
        assert answer.headers["allow"] == refused.headers["allow"] == allowed


async def test_an_unexpected_error_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: a fault of ours is a 500 with a plain sentence; its traceback is one log entry."""
    async with Client(FakeCentral(failure=RuntimeError("a secret"))) as client:
        with caplog.at_level(logging.INFO):
            answer = await client.get("/cp")
        assert "secret" not in assert_error(answer, 500)
        (entry,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert "GET /cp" in entry.getMessage()
        assert entry.exc_info is not None
