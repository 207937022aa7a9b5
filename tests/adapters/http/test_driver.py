"""A driver's dashboard over real sockets, its Central played by another server."""

import re
from typing import Any

import pytest

from evd.adapters.http.driver_page import SERVICE_WORKER
from evd.adapters.http.web_files import web_files
from evd.core.driver.events import CancelWanted, Obstacle, Refuse, StopWanted
from tests.adapters.http.driver_scene import POINTS, RATES, SESSION, Scene


async def test_charging_points_as_a_driver_sees_them(s: Scene) -> None:
    """Proves: FREE, OCCUPIED and OFFLINE from what Central shows, and both filters."""
    shown = await s.json("/charging-points")
    assert shown[0] == {"cp_id": "CP-001", "status": "FREE", **RATES}
    statuses = ["FREE", "OCCUPIED", "OFFLINE", "OFFLINE"]
    assert [point["status"] for point in shown] == statuses
    free = await s.json("/charging-points?only_available=true")
    assert [point["cp_id"] for point in free] == ["CP-001"]
    assert len(await s.json("/charging-points?only_available=false")) == len(POINTS)
    strong = await s.json("/charging-points?min_power_kw=22.5")
    assert [point["cp_id"] for point in strong] == ["CP-003"]
    assert (await s.json("/charging-points/CP-001"))["status"] == "FREE"
    assert (await s.json("/charging-points/CP-404", 404))["field"] == "cp_id"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [
        ("/charging-points?only_available=1", 400, "only_available"),
        ("/charging-points?only_available=", 400, "only_available"),
        ("/charging-points?min_power_kw=nan", 400, "min_power_kw"),
        ("/charging-points?min_power_kw=-1", 400, "min_power_kw"),
        ("/charging-points/-CP", 400, "cp_id"),
        ("/drivers/driver-alice/sessions/history?limit=0", 400, "limit"),
        ("/drivers/driver-alice/sessions/history?before=%20", 400, "before"),
        ("/drivers/driver-alice/notifications?limit=1001", 400, "limit"),
        ("/drivers/driver-bob/notifications", 404, "driver_id"),
        ("/drivers/driver-bob/sessions/current", 404, "driver_id"),
        ("/drivers/driver-bob/requests", 404, "driver_id"),
        ("/drivers/driver-bob/events", 404, "driver_id"),
        ("/nothing/here", 404, None),
    ],
)
async def test_wrong_questions_name_the_field(
    s: Scene, path: str, status: int, field: str | None
) -> None:
    """Proves: an error is one sentence and names the field, for unknown paths too."""
    body = await s.json(path, status)
    assert body["error"]
    assert body.get("field") == field


async def test_asking_for_a_charge(s: Scene) -> None:
    """Proves: 202 with the request's id; null and `any` leave the choice to Central."""
    for wish, asked in (
        ({"cp_id": "CP-001", "vehicle_id": "car-1"}, ("CP-001", "car-1")),
        ({"cp_id": None}, (None, None)),
        ({"cp_id": "any", "more": 1}, (None, None)),
    ):
        answer = await s.client.post("/drivers/driver-alice/requests", json=wish)
        assert (answer.status_code, answer.json()) == (202, {"request_id": "req-1"})
        assert s.service.wanted.pop() == asked


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{}", "cp_id"),
        (b'{"cp_id": 5}', "cp_id"),
        (b'{"cp_id": "CP 1"}', "cp_id"),
        (b'{"cp_id": "CP-001", "vehicle_id": "a/b"}', "vehicle_id"),
        (b"[]", None),
        (b"{", None),
        (b"", None),
    ],
)
async def test_a_bad_body_is_refused(s: Scene, body: bytes, field: str | None) -> None:
    """Proves: 400 with the field's name, and nothing is asked."""
    headers = {"content-type": "application/json"}
    answer = await s.client.post("/drivers/driver-alice/requests", content=body, headers=headers)
    assert (answer.status_code, answer.json().get("field")) == (400, field)
    assert s.service.wanted == []


async def test_changes_only_by_json_and_from_here(s: Scene) -> None:
    """Proves: another content type is 415, a page of another host 403, another driver 404."""
    path = "/drivers/driver-alice/requests"
    text = await s.client.post(path, content=b"{}", headers={"content-type": "text/plain"})
    assert text.status_code == 415
    evil = {"origin": "http://evil.example"}
    foreign = await s.client.post(path, json={"cp_id": "CP-001"}, headers=evil)
    assert foreign.status_code == 403
    assert (await s.client.delete(f"{path}/req-1", headers=evil)).status_code == 403
    assert (await s.client.post("/drivers/bob/requests", json={})).status_code == 404
    assert (await s.client.put(path, json={})).status_code == 405
    own = {"origin": str(s.client.base_url).rstrip("/")}
    good = await s.client.post(path, json={"cp_id": "CP-001"}, headers=own)
    assert good.status_code == 202
    assert s.service.wanted == [("CP-001", None)]


async def test_ending_requests_and_sessions(s: Scene) -> None:
    """Proves: 204 and 202 for what will be done; 404, 409 and 503 say why it will not."""
    end, stop = (
        "/drivers/driver-alice/requests/req-1",
        "/drivers/driver-alice/sessions/session-1/stop",
    )
    answer = await s.client.delete(end)
    assert (answer.status_code, answer.content) == (204, b"")
    answer = await s.client.post(stop)
    assert (answer.status_code, answer.json()) == (202, {"session_id": "session-1"})
    assert s.service.wanted == [CancelWanted("req-1"), StopWanted("session-1")]
    for obstacle, status in ((Obstacle.UNKNOWN, 404), (Obstacle.OVER, 409), (Obstacle.FULL, 503)):
        s.service.refusal = Refuse(obstacle, "it has ended")
        for refused in (await s.client.delete(end), await s.client.post(stop)):
            assert (refused.status_code, refused.json()["error"]) == (status, "it has ended")
    malformed = await s.client.delete("/drivers/driver-alice/requests/-x")
    assert (malformed.status_code, malformed.json()["field"]) == (400, "request_id")


async def test_what_could_not_be_saved_was_not_asked(s: Scene) -> None:
    """Proves: a driver whose disk refuses answers 503 and does not pretend."""
    s.service.disk_fails = True
    answer = await s.client.post("/drivers/driver-alice/requests", json={"cp_id": "CP-001"})
    assert answer.status_code == 503
    assert "no space left" in answer.json()["error"]


async def test_the_drivers_own_knowledge(s: Scene) -> None:
    """Proves: session, notifications and health are the driver's own, newest first."""
    await s.central_leaves()
    current = await s.json("/drivers/driver-alice/sessions/current")
    assert current == {
        "session_id": "session-1",
        "cp_id": "CP-001",
        "kw": 22.0,
        "kwh": 0.061,
        "euros": 0.0183,
        "started_at": "2026-01-31T12:00:00.000000Z",
        "curve": [[1.0, 22.0, 0.061]],
    }
    requests = await s.json("/drivers/driver-alice/requests")
    assert [(each["request_id"], each["status"], each["ending"]) for each in requests] == [
        ("req-2", "PENDING", True),
        ("req-1", "IN_PROGRESS", False),
    ]
    s.service.session = None
    assert await s.json("/drivers/driver-alice/sessions/current") is None
    told = await s.json("/drivers/driver-alice/notifications")
    assert [each["status"] for each in told] == ["ACCEPTED", "DENIED"]
    assert told[0]["ts"] == "2026-01-31T12:00:00.000000Z"
    assert len(await s.json("/drivers/driver-alice/notifications?limit=1")) == 1
    assert (await s.json("/health"))["status"] == "healthy"
    s.service.reason = "Central was not heard for 9 s"
    assert (await s.json("/health", 503))["error"] == s.service.reason


async def test_history_is_centrals(s: Scene) -> None:
    """Proves: the sessions of this driver alone, page by page, as Central shows them."""
    assert await s.json("/drivers/driver-alice/sessions/history?limit=5&before=session-9") == [
        SESSION
    ]
    assert s.central.queries == ["driver_id=driver-alice&limit=5&before=session-9"]
    s.central.answers["/sessions"] = (404, {"error": "unknown session", "field": "before"})
    body = await s.json("/drivers/driver-alice/sessions/history?before=session-9", 404)
    assert body == {"error": "unknown session", "field": "before"}


async def test_one_session_with_its_curve(s: Scene) -> None:
    """Proves: a session of this driver is shown as Central keeps it, another's is not."""
    path = "/drivers/driver-alice/sessions"
    assert (await s.json(f"{path}/session-1"))["curve"] == [[1.0, 22.0, 0.006]]
    for unknown in ("session-2", "session-9"):
        assert (await s.json(f"{path}/{unknown}", 404))["field"] == "session_id"
    await s.json("/drivers/driver-bob/sessions/session-1", 404)


async def test_while_central_is_away(s: Scene) -> None:
    """Proves: what only Central knows is a 503 or OFFLINE, never shown as if it were true."""
    await s.json("/charging-points")
    await s.central_leaves()
    statuses = {point["status"] for point in await s.json("/charging-points")}
    assert statuses == {"OFFLINE"}
    assert (await s.json("/charging-points/CP-001"))["status"] == "OFFLINE"
    for path in (
        "/charging-points?only_available=true",
        "/charging-points/CP-404",
        "/drivers/driver-alice/sessions/history",
    ):
        answer = await s.client.get(path)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert "Central" in answer.json()["error"]
    assert (await s.client.get("/")).status_code == 200


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"charging_points": [{"cp_id": "<script>"}]}),
        (200, {"charging_points": 5}),
        (503, {"error": "the database does not answer"}),
        (421, {"error": "give the name in --http-hosts of evd-central"}),
    ],
)
async def test_an_answer_that_is_not_centrals(s: Scene, answer: tuple[int, Any]) -> None:
    """Proves: whatever answers in Central's place is taken for its absence, as is all that
    test_central_client refuses."""
    s.central.answers["/cp"] = answer
    assert (await s.json("/charging-points", 503))["error"]


async def test_the_page_runs_its_own_files_alone(s: Scene) -> None:
    """Proves: the page names its driver, escaped, and its policy allows scripts of this server's
    files and nothing else; what it names is there, also what makes it installable."""
    s.service.driver_id = '"><script>'
    answer = await s.client.get("/")
    assert answer.status_code == 200
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy
    assert "<script>" not in answer.text
    assert "http://" not in answer.text
    named = re.findall(r'(?:href|src)="(/web/[^"]+)"', answer.text)
    manifest = await s.json("/web/driver/manifest.webmanifest")
    icons = [icon["src"] for icon in manifest["icons"]]
    assert {"/web/driver/main.js", "/web/driver/manifest.webmanifest"} <= set(named)
    assert {icon["sizes"] for icon in manifest["icons"]} >= {"192x192", "512x512"}
    for path in (*named, *icons, SERVICE_WORKER, manifest["start_url"]):
        assert (await s.client.get(path)).status_code == 200, path


def test_each_part_of_the_page_is_there() -> None:
    """Proves: no script of the page imports a file that is not served."""
    for name, file in web_files().items():
        if name.startswith("driver/") and name.endswith(".js"):
            for path in re.findall(r'from "(/web/[^"]+)"', file.content.decode()):
                assert path.removeprefix("/web/") in web_files(), (name, path)


async def test_the_api_describes_itself(s: Scene) -> None:
    """Proves: /openapi.json names every route, /docs shows it."""
    document = await s.json("/openapi.json")
    assert document["openapi"].startswith("3.1")
    assert len(document["paths"]) >= 9
    assert (await s.client.get("/docs")).status_code == 200
