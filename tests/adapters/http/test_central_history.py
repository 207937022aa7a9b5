"""Central's HTTP: how one session, one charging point and the network went over time."""

from evd.adapters.store.failures import StoreFailed
from tests.adapters.http.fake_central import Client, FakeCentral, assert_error


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
