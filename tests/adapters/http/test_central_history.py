"""Central's HTTP: how one session, one charging point and the network went over time."""

from datetime import UTC, datetime, timedelta

import pytest

from evd.adapters.store.failures import StoreFailed
from tests.adapters.http.fake_central import NOON, NOON_TEXT, Client, FakeCentral, assert_error

HOUR = timedelta(hours=1)
# NOON is not quite noon.
SHORT = timedelta(microseconds=-123_456)


async def test_one_session_with_its_curve(client: Client) -> None:
    """Proves: a session is shown with the fields that it has in the list and the course of its
    power: the stored one of an ended session, that so far of a running one."""
    running, ended = (await client.get("/sessions")).json()["sessions"]
    assert (await client.get("/sessions/session-1")).json() == ended | {
        "curve": [[0.5, 22.0, 0.003055]]
    }
    assert (await client.get("/sessions/session-2")).json() == running | {
        "curve": [[1.0, 22.0, 0.006111], [2.5, 21.5, 0.015]]
    }


async def test_a_curve_as_csv(client: Client) -> None:
    """Proves: the course of a session's power is a table for a spreadsheet where that is asked."""
    for query, accept in (("?format=csv", "*/*"), ("", "text/csv")):
        answer = await client.get(f"/sessions/session-2{query}", headers={"Accept": accept})
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.text == "seconds,kw,kwh\r\n1.0,22.0,0.006111\r\n2.5,21.5,0.015\r\n"
    assert_error(await client.get("/sessions/session-9?format=csv"), 404, "session_id")


async def test_a_session_that_there_is_not(client: Client) -> None:
    """Proves: an unknown session is a 404, a malformed id a 400, both name the field; without a
    database it is a 503."""
    assert_error(await client.get("/sessions/session-9"), 404, "session_id")
    assert_error(await client.get("/sessions/-9"), 400, "session_id")
    assert client.service.queries == [("session", "session-9")]
    async with Client(FakeCentral(failure=StoreFailed("it is full"))) as failing:
        assert_error(await failing.get("/sessions/session-1"), 503)


async def test_states_of_several(client: Client) -> None:
    """Proves: the states of all charging points that are named come at once, in their order; null
    where it is not known."""
    span = f"since=2026-01-31T11:00:00Z&until={NOON_TEXT}"
    answer = await client.get(f"/states?cp_id=CP-2&cp_id=CP-1&{span}")
    first, second = answer.json()["states"]
    assert (first["cp_id"], second["cp_id"]) == ("CP-2", "CP-1")
    assert first["spans"] == [
        {"state": None, "since": "2026-01-31T11:00:00.000000Z", "until": NOON_TEXT},
        {"state": "ON", "since": NOON_TEXT, "until": NOON_TEXT},
    ]
    assert client.service.queries == [("states", ["CP-2", "CP-1"], NOON - HOUR + SHORT, NOON)]


async def test_the_course_of_power(client: Client) -> None:
    """Proves: the power of one charging point or of the network is asked for by its span."""
    answer = await client.get(f"/power?since=2026-01-31T11:00:00Z&until={NOON_TEXT}")
    assert answer.json() == {"power": [{"ts": NOON_TEXT, "kw": 44.0}]}
    await client.get(f"/power?cp_id=CP-001&until={NOON_TEXT}")
    assert client.service.queries == [
        ("power", None, NOON - HOUR + SHORT, NOON),
        ("power", "CP-001", NOON - 24 * HOUR, NOON),
    ]


async def test_without_a_span_it_is_the_last_day(client: Client) -> None:
    """Proves: what is asked without a time is the day until now, and no question goes beyond."""
    await client.get("/power")
    await client.get("/states?cp_id=CP-001&until=2926-01-31T12:00:00Z")
    await client.get("/power?since=2926-01-31T12:00:00Z")
    for query in client.service.queries:
        *_, since, until = query
        assert abs(datetime.now(UTC) - until) < HOUR
        assert until - since == (24 * HOUR if query is not client.service.queries[2] else 0 * HOUR)


async def test_a_timeline(client: Client) -> None:
    """Proves: each entry has its id, its kind, its time and a sentence, and what it is about."""
    query = f"limit=5&before=2e-session-9&since=2026-01-31T11:00:00Z&until={NOON_TEXT}"
    answer = await client.get(f"/timeline?cp_id=CP-001&{query}")
    assert answer.json() == {
        "timeline": [
            {
                "id": "1e-session-1",
                "kind": "SESSION_ENDED",
                "cp_id": "CP-001",
                "ts": NOON_TEXT,
                "text": "the session of driver-alice never began",
                "session_id": "session-1",
                "request_id": "req-1",
                "driver_id": "driver-alice",
                "who": None,
                "kwh": 0.061111,
                "euros": 0.02,
            }
        ]
    }
    assert client.service.queries == [
        ("timeline", "CP-001", 5, "2e-session-9", NOON - HOUR + SHORT, NOON)
    ]


async def test_a_timeline_of_all(client: Client) -> None:
    """Proves: without a charging point it is the story of the whole network."""
    (entry,) = (await client.get("/timeline?limit=5")).json()["timeline"]
    assert entry["cp_id"] == "CP-001"
    assert client.service.queries == [("timeline", None, 5, None, None, None)]


async def test_a_page_behind_nothing(client: Client) -> None:
    """Proves: a page that is to begin behind an entry that there can't be is a 404, as in other
    lists."""
    assert_error(await client.get("/timeline?cp_id=CP-001&before=nothing"), 404, "before")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/states", "cp_id"),
        ("/states?cp_id=", "cp_id"),
        ("/states?cp_id=CP-001&cp_id=a%20b", "cp_id"),
        ("/states?" + "&".join(f"cp_id=CP-{n}" for n in range(101)), "cp_id"),
        ("/states?cp_id=CP-001&since=x", "since"),
        ("/states?cp_id=CP-001&since=2026-01-31T12:00:00Z&until=2026-01-30T12:00:00Z", "since"),
        ("/states?cp_id=CP-001&limit=5", "limit"),
        ("/power?cp_id=CP-001&cp_id=CP-002", "cp_id"),
        ("/power?until=2026-01-31", "until"),
        ("/timeline?cp_id=a%20b", "cp_id"),
        ("/timeline?cp_id=CP-001&cp_id=CP-002", "cp_id"),
        ("/timeline?cp_id=CP-001&limit=0", "limit"),
        ("/timeline?cp_id=CP-001&service=x", "service"),
        ("/timeline?cp_id=CP-001&request=x", "request"),
    ],
)
async def test_a_wrong_question_names_its_field(client: Client, path: str, field: str) -> None:
    """Proves: a parameter that is missing, wrong, too often there or none is a 400 that names
    it."""
    assert_error(await client.get(path), 400, field)


async def test_no_history_without_a_database() -> None:
    """Proves: each of these is a 503 while the database is away."""
    async with Client(FakeCentral(failure=StoreFailed("it is full"))) as client:
        for path in ("/states?cp_id=CP-001", "/power", "/timeline?cp_id=CP-001"):
            assert_error(await client.get(path), 503)
