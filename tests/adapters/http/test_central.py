"""Central's HTTP: each call and its answer, against a service of the test's own."""

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from evd.adapters.http.central_reports import ROWS_MAX
from evd.adapters.store import Page, SessionFilter, UnknownRow
from evd.adapters.store.report import Grouping, ReportRow
from evd.core.access.rows import Outcome
from evd.core.central.events import (
    Asked,
    ChargeAsked,
    CpRemovalAsked,
    CpResumeAsked,
    CpShutdownAsked,
    CpStopAsked,
    JudgementAsked,
    RecoveryAccepted,
    Refusal,
    Refused,
    Reply,
    RequestEndAsked,
    SessionStopAsked,
)
from evd.core.central.rows import SessionStatus
from evd.core.standby.events import Standby
from tests.adapters.http.fake_central import (
    NOON,
    NOON_TEXT,
    Client,
    FakeCentral,
    app_of,
    assert_error,
)
from tests.adapters.http.site import served_at


async def test_health_says_who_answers_and_for_how_long(client: Client) -> None:
    """Proves: GET /health is 200 with id and uptime while requests can be served."""
    answer = await client.get("/health")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "healthy",
        "service": "evd-central",
        "uptime_s": 12.346,
        "central_id": "central-1",
        "unreadable": ["session session-7"],
    }


async def test_health_is_503_with_the_reason() -> None:
    """Proves: GET /health is a 503 with the reason while the database or the broker is away."""
    async with Client(FakeCentral(reason="Kafka does not answer")) as client:
        answer = await client.get("/health")
        assert answer.status_code == 503
        assert answer.json()["error"] == "Kafka does not answer"
        assert answer.json()["status"] == "unhealthy"


async def test_health_of_a_standby_has_a_code_of_its_own() -> None:
    """Proves: GET /health of a Central that stands by is a 503 with the code by which programs
    know it; one that is ill has none, though another Central may serve."""
    reason = "standing by for a:8000"
    async with Client(FakeCentral(reason=reason, stands_by=True)) as client:
        answer = await client.get("/health")
        assert answer.status_code == 503
        assert (answer.json()["error"], answer.json()["code"]) == (reason, "standing_by")
        client.service.reason, client.service.stands_by = "the database fails: full", False
        ill = await client.get("/health")
        assert ill.status_code == 503
        assert "code" not in ill.json()


async def test_health_names_those_who_stand_by(client: Client) -> None:
    """Proves: GET /health of the Central that serves names the others and whether Kafka answers
    them; a Central that can have none says nothing of them."""
    assert "standbys" not in (await client.get("/health")).json()
    client.service.others = [Standby("b", "b:8000", False, 3, 0.1)]
    shown = {"address": "b:8000", "kafka_up": False}
    assert (await client.get("/health")).json()["standbys"] == [shown]
    client.service.others = []
    assert (await client.get("/health")).json()["standbys"] == []


async def test_charging_points_have_every_field(client: Client) -> None:
    """Proves: a CP is shown with all its fields, times in UTC, null where nothing is known; an
    unknown one is a 404 that names the field."""
    answer = (await client.get("/cp")).json()
    assert answer["active_requests"] == 3
    supplying, never_seen = answer["charging_points"]
    assert supplying == {
        "cp_id": "CP-001",
        "state": "ON",
        "state_since": NOON_TEXT,
        "available": False,
        "unavailable_reason": "it is occupied by session-1",
        "stopped": False,
        "engine_state": "SUPPLYING",
        "engine_status": "OK",
        "monitor_status": "OK",
        "breaker": "CLOSED",
        "unconfirmed": 0,
        "current_driver": "driver-alice",
        "current_session": "session-1",
        "kw_rate": 22.0,
        "euro_rate": 0.3,
        "location": "Main Street 1",
        "last_update": NOON_TEXT,
        "monitor_last_seen": NOON_TEXT,
        "telemetry": {
            "kw": 22.0,
            "kwh": 1.5,
            "euros": 0.45,
            "session_id": "session-1",
            "driver_id": "driver-alice",
            "ts": NOON_TEXT,
        },
    }
    assert set(never_seen) == set(supplying)
    assert never_seen["telemetry"] is None
    assert (await client.get("/cp/CP-001")).json() == supplying
    assert (await client.get("/cp/CP-002")).json() == never_seen
    assert "CP-999" in assert_error(await client.get("/cp/CP-999"), 404, "cp_id")


@pytest.mark.parametrize(
    ("method", "path", "event", "body"),
    [
        ("POST", "/cp/CP-001/stop", CpStopAsked(7, "CP-001"), {"cp_id": "CP-001"}),
        ("POST", "/cp/CP-001/resume", CpResumeAsked(7, "CP-001"), {"cp_id": "CP-001"}),
        ("POST", "/cp/CP-001/shutdown", CpShutdownAsked(7, "CP-001"), {"cp_id": "CP-001"}),
        ("DELETE", "/requests/req-1", RequestEndAsked(7, "req-1"), {"request_id": "req-1"}),
        ("POST", "/sessions/s-1/stop", SessionStopAsked(7, "s-1"), {"session_id": "s-1"}),
        ("POST", "/sessions/s-1/accept", JudgementAsked(7, "s-1", True), {"session_id": "s-1"}),
        ("POST", "/sessions/s-1/void", JudgementAsked(7, "s-1", False), {"session_id": "s-1"}),
        ("POST", "/recovery/accept", RecoveryAccepted(7), {"recovering": []}),
    ],
)
async def test_what_the_operator_asks_reaches_central(
    client: Client, method: str, path: str, event: Asked, body: dict[str, Any]
) -> None:
    """Proves: each call without a body becomes its one event; where Central accepts, a 202 names
    what it is about."""
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()) == (202, body)
    assert client.service.asked == [event]


async def test_a_switch_names_those_who_may_serve(client: Client) -> None:
    """Proves: POST /central/handover is done and noted, or 409 with the reason, and noted too."""
    client.service.others = [Standby("b", "b:8000", True, 0, 0.1)]
    answer = await client.post("/central/handover")
    assert (answer.status_code, answer.json()) == (202, {"standbys": ["b:8000"]})
    client.service.others = []
    client.service.refuses_switch = "no other Central stands by"
    refused = await client.post("/central/handover")
    assert assert_error(refused, 409) == "no other Central stands by"
    told = [(each.action, each.object, each.outcome) for each in client.service.told]
    assert told == [
        ("central handover", "b:8000", Outcome.DONE),
        ("central handover", "", Outcome.REFUSED),
    ]


async def test_a_removal_has_no_body(client: Client) -> None:
    """Proves: DELETE /cp/{cp_id} is a 204 without a body."""
    answer = await client.delete("/cp/CP-001")
    assert (answer.status_code, answer.content) == (204, b"")
    assert client.service.asked == [CpRemovalAsked(7, "CP-001")]


@pytest.mark.parametrize(
    ("method", "path"), [("DELETE", "/cp/CP-001"), ("POST", "/cp/CP-001/stop")]
)
async def test_what_central_refuses_is_passed_on(method: str, path: str) -> None:
    """Proves: each of Central's refusals has its status, and keeps its sentence and its field."""
    for refusal, status in ((Refusal.UNKNOWN, 404), (Refusal.CONFLICT, 409)):
        refused = Refused(refusal, "its monitor is connected", "cp_id")
        async with Client(FakeCentral(reply=Reply(7, refused))) as client:
            answer = await client.request(method, path)
            assert assert_error(answer, status, "cp_id") == "its monitor is connected"
            assert "retry-after" not in answer.headers


async def test_a_503_says_when_to_ask_again() -> None:
    """Proves: while Central can't decide, a request for a charge is a 503 with Retry-After."""
    reply = Reply(7, Refused(Refusal.UNAVAILABLE, "Kafka does not answer"))
    async with Client(FakeCentral(reply=reply)) as client:
        answer = await client.post("/request/charge", json={"driver_id": "driver-alice"})
        assert assert_error(answer, 503) == "Kafka does not answer"
        assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ({"driver_id": "d"}, ChargeAsked(7, "req-new", "d", None)),
        ({"driver_id": "d", "cp_id": None}, ChargeAsked(7, "req-new", "d", None)),
        ({"driver_id": "d", "cp_id": "any"}, ChargeAsked(7, "req-new", "d", None)),
        ({"driver_id": "d", "cp_id": "CP-001"}, ChargeAsked(7, "req-new", "d", "CP-001")),
        (
            {"driver_id": "d", "request_id": "req-mine", "vehicle_id": "v", "colour": 1},
            ChargeAsked(7, "req-mine", "d", None),
        ),
    ],
)
async def test_a_request_for_a_charge(client: Client, body: dict[str, Any], event: Asked) -> None:
    """Proves: the optional fields may be absent or null, unknown ones are ignored, and `any` is
    any charging point, as in a requests file."""
    answer = await client.post("/request/charge", json=body)
    assert answer.status_code == 202
    assert answer.json() == {"request_id": body.get("request_id", "req-new")}
    assert client.service.asked == [event]


async def test_a_request_is_shown(client: Client) -> None:
    """Proves: GET /requests/{id} has the request's fields, PENDING before the first answer."""
    answer = (await client.get("/requests/req-1")).json()
    assert answer["status"] == "PENDING"
    assert answer["created_at"] == answer["updated_at"] == NOON_TEXT
    expected = {"request_id", "driver_id", "cp_id", "session_id", "status", "reason"}
    assert expected | {"created_at", "updated_at"} <= set(answer)
    assert_error(await client.get("/requests/req-2"), 404, "request_id")


async def test_sessions_are_shown_in_kwh_and_euros(client: Client) -> None:
    """Proves: a session's energy and bill are numbers in kWh and euros, null before the bill."""
    running, ended = (await client.get("/sessions")).json()["sessions"]
    assert ended == {
        "session_id": "session-1",
        "request_id": "req-1",
        "cp_id": "CP-001",
        "driver_id": "driver-alice",
        "start_time": NOON_TEXT,
        "end_time": NOON_TEXT,
        "total_kwh": 0.061111,
        "total_cost": 0.02,
        "status": "COMPLETED",
        "reason": "",
        "estimated": False,
        "billable": True,
        "stray": False,
        "suspect": False,
    }
    assert (running["total_kwh"], running["total_cost"], running["end_time"]) == (1.5, None, None)
    assert client.service.queries == [("sessions", None, None, None, 100, None, None, None)]


SESSIONS_CSV = (
    "session_id,request_id,cp_id,driver_id,start_time,end_time,total_kwh,total_cost,status,reason,"
    "estimated,billable,stray,suspect\r\n"
    f"session-2,req-2,CP-001,driver-bob,{NOON_TEXT},,1.5,,ACTIVE,,false,true,false,false\r\n"
    f"session-1,req-1,CP-001,driver-alice,{NOON_TEXT},{NOON_TEXT},0.061111,0.02,COMPLETED,,"
    "false,true,false,false\r\n"
)


async def test_sessions_are_a_table_too(client: Client) -> None:
    """Proves: GET /sessions as CSV has a header row, a line a session with the fields of the JSON,
    and all sessions, or as many as `limit` says; filters are those of the JSON."""
    for query, headers, which, limit in (
        ("format=csv", {}, SessionFilter(), None),
        ("", {"Accept": "text/csv"}, SessionFilter(), None),
        (
            f"format=csv&cp_id=CP-001&driver_id=d&status=FAILED&limit=7&before=s&since={NOON_TEXT}",
            {},
            SessionFilter("CP-001", "d", SessionStatus.FAILED, "s", NOON),
            7,
        ),
    ):
        answer = await client.get(f"/sessions?{query}", headers=headers)
        assert answer.text == SESSIONS_CSV
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert client.service.queries.pop() == ("all_sessions", which, limit)
    shown, _ = (await client.get("/sessions")).json()["sessions"]
    assert set(SESSIONS_CSV.partition("\r\n")[0].split(",")) == set(shown)


async def test_a_report_has_a_row_for_each_key(client: Client) -> None:
    """Proves: GET /reports shows sums in kWh and euros, as JSON or as CSV; each filter reaches the
    query, and the rows are of months where nothing else is said."""
    answer = await client.get("/reports")
    assert answer.json() == {
        "report": [
            {"key": "2026-01", "sessions": 2, "kwh": 1.561111, "euros": 0.47},
            {"key": "2026-02", "sessions": 1, "kwh": 0.0, "euros": 0.0},
        ]
    }
    query = f"by=driver&since={NOON_TEXT}&until={NOON_TEXT}&cp_id=CP-001&driver_id=d&format=csv"
    answer = await client.get(f"/reports?{query}")
    assert answer.headers["content-disposition"] == 'attachment; filename="report.csv"'
    assert answer.text == (
        "key,sessions,kwh,euros\r\n2026-01,2,1.561111,0.47\r\n2026-02,1,0.0,0.0\r\n"
    )
    which = SessionFilter("CP-001", "d", since=NOON, until=NOON)
    assert client.service.queries == [
        ("report", Grouping.MONTH, SessionFilter()),
        ("report", Grouping.DRIVER, which),
    ]


async def test_a_report_is_whole_or_refused(client: Client) -> None:
    """Proves: a report has at most 50,000 rows; where there are more it is a 400 that says how to
    ask for fewer, and no report of some of them."""
    client.service.sums = [ReportRow(f"driver-{n}", 1, 1, 1) for n in range(ROWS_MAX)]
    assert len((await client.get("/reports?by=driver")).json()["report"]) == ROWS_MAX
    client.service.sums.append(ReportRow("one-more", 1, 1, 1))
    for format in ("json", "csv"):
        answer = await client.get(f"/reports?by=driver&format={format}")
        assert "50000" in assert_error(answer, 400, "by")


async def test_lists_are_narrowed(client: Client) -> None:
    """Proves: each filter reaches the query with its name's meaning."""
    query = "cp_id=CP-001&driver_id=d&status=FAILED&limit=1000&before=session-9"
    span = f"since={NOON_TEXT}&until=2026-01-31T13:00:00.123456%2B01:00"
    for path in (
        f"/sessions?{query}&{span}",
        f"/faults?cp_id=CP-001&limit=1&before=12&{span}",
        "/faults",
        "/faults/statistics?cp_id=CP-001&days=3650",
        "/faults/statistics",
        f"/health/history?cp_id=CP-001&limit=2&before=34&{span}",
        "/health/history",
    ):
        assert (await client.get(path)).status_code == 200
    assert client.service.queries == [
        ("sessions", "CP-001", "d", SessionStatus.FAILED, 1000, "session-9", NOON, NOON),
        ("faults", "CP-001", Page(1, 12, NOON, NOON)),
        ("faults", None, Page()),
        ("fault_statistics", "CP-001", 3650),
        ("fault_statistics", None, 30),
        ("health_history", "CP-001", Page(2, 34, NOON, NOON)),
        ("health_history", None, Page()),
    ]


@pytest.mark.parametrize(
    ("path", "before", "sentence"),
    [
        ("/sessions", "session-9", "session session-9 is not known"),
        ("/sessions?format=csv", "session-9", "session session-9 is not known"),
        ("/faults", "9", "fault 9 is not known"),
        ("/health/history", "9", "entry 9 is not known"),
    ],
)
async def test_what_is_older_than_an_unknown_entry(path: str, before: str, sentence: str) -> None:
    """Proves: a page that is to begin before an entry that nobody knows is a 404."""
    async with Client(FakeCentral(failure=UnknownRow(before))) as client:
        answer = await client.get(
            path, params={**dict(httpx.QueryParams(path.partition("?")[2])), "before": before}
        )
        assert assert_error(answer, 404, "before") == sentence


@pytest.mark.parametrize("year", ["0000", "0001", "1969"])
async def test_a_span_may_begin_before_all_clocks(client: Client, year: str) -> None:
    """Proves: a time before the first that is ever stored is an edge like any other: nothing is
    before it; one that is no time is refused in each year."""
    for name in ("since", "until"):
        answer = await client.get(f"/faults?{name}={year}-02-29T00:00:00Z")
        assert answer.status_code == 200
        page = client.service.queries.pop()[2]
        assert getattr(page, name) == datetime(1970, 1, 1, tzinfo=UTC)
        assert_error(await client.get(f"/faults?{name}={year}-02-30T00:00:00Z"), 400, name)
        assert_error(await client.get(f"/faults?{name}={year}-02-28T00:00:00"), 400, name)


async def test_telemetry_has_the_message_s_fields(client: Client) -> None:
    """Proves: GET /telemetry shows the fields of cp.telemetry and when it was sent."""
    assert (await client.get("/telemetry")).json() == {
        "telemetry": [
            {
                "cp_id": "CP-001",
                "boot_id": "boot-1",
                "session_id": "session-1",
                "driver_id": "driver-alice",
                "kw": 22.0,
                "kwh": 1.5,
                "euros": 0.45,
                "seq": None,
                "ts": NOON_TEXT,
            }
        ]
    }


async def test_faults_statistics_and_history(client: Client) -> None:
    """Proves: the histories have their fields, and null where nothing can be said."""
    fault = {"id": 12, "cp_id": "CP-001", "event_type": "FAULT", "reason": "refused"}
    assert (await client.get("/faults")).json() == {"faults": [fault | {"timestamp": NOON_TEXT}]}
    (figures,) = (await client.get("/faults/statistics")).json()["statistics"]
    assert figures["mtbf_s"] is None
    assert (figures["mttr_s"], figures["uptime"]) == (2.0, 0.5)
    (entry,) = (await client.get("/health/history")).json()["history"]
    assert entry["circuit_breaker_state"] == "CLOSED"
    assert (entry["id"], entry["is_faulty"], entry["engine_state"]) == (34, False, None)


async def test_metrics_are_prometheus_text(client: Client) -> None:
    """Proves: GET /metrics is in the format that Prometheus reads."""
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["content-type"].count("charset") == 1
    assert b"evd_faults_total 0.0" in answer.content


async def test_the_app_behind_real_sockets() -> None:
    """Proves: the app and the server before it fit: answers, errors, bodies, HEAD, no body."""
    async with (
        served_at(app_of(FakeCentral())) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as client,
    ):
        answer = await client.get("/cp")
        assert orjson.loads(answer.content)["active_requests"] == 3
        assert answer.headers["cache-control"] == "no-store"
        head = await client.head("/cp")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == answer.headers["content-length"]
        taken = await client.post("/request/charge", json={"driver_id": "d"})
        assert taken.status_code == 202
        assert_error(await client.post("/request/charge", json={"driver_id": "d" * 70_000}), 413)
        assert_error(await client.get("/nope"), 404)
        removed = await client.delete("/cp/CP-001")
        assert (removed.status_code, removed.content) == (204, b"")
