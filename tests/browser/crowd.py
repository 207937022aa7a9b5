"""A Central of the tests with very many charging points: the real page, over a feed of our own."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import attrs
import orjson
import trio
from trio_websocket import ConnectionClosed, WebSocketRequest, serve_websocket

from evd.adapters.http.central_page import central_page
from evd.adapters.http.serving import serve_app
from tests.adapters.http.fake_central import FakeCentral, app_of
from tests.browser.guard import Guard
from tests.network.processes import free_port

SEED: Final = 7
HOST: Final = "127.0.0.1"
# The code that closes the feed of a reader who is not known any more.
STRANGER: Final = 1008
UPDATE_S: Final = 0.25
CHANGING_EACH_UPDATE: Final = 25
READY_S_MAX: Final = 20.0
PLACES: Final = ("Main Street 1", "Harbour, pier 4", "Station north", "Old brewery", None)
REASONS: Final = {
    "ON": "",
    "BROKEN": "its engine is broken: no answer within 1 s",
    "DISCONNECTED": "its monitor is not connected",
}
ADVICE: Final = {
    "BROKEN": "See the log of its engine, and start it again.",
    "DISCONNECTED": "See that its host runs, and that its monitor reaches Central.",
}
ALERTS_MAX: Final = 50
DRIVERS: Final = ("driver-alice", "driver-bob", "driver-carol", "driver-dave")

Fields = dict[str, Any]


def text_of(time: datetime) -> str:
    """A time as the feed writes it."""
    return time.isoformat().replace("+00:00", "Z")


class Crowd:
    """So many charging points; a few of them change with each update, as meters do."""

    def __init__(self, count: int, *, troubled: float = 0.03, busy: float = 0.1) -> None:
        """`troubled`, `busy`: the shares that are not ON, and that charge."""
        self._random = random.Random(SEED)
        self._troubled, self._busy = troubled, busy
        self.points = [self._point(number) for number in range(1, count + 1)]
        self.charging = [point for point in self.points if point["telemetry"]]

    def _point(self, number: int) -> Fields:
        chance = self._random.random()
        state = "DISCONNECTED" if chance < self._troubled / 2 else "BROKEN"
        state = "ON" if chance >= self._troubled else state
        since = datetime.now(UTC) - timedelta(seconds=self._random.random() * 90_000)
        point: Fields = {
            "cp_id": f"CP-{number:05d}",
            "state": state,
            "state_since": text_of(since),
            "available": state == "ON",
            "unavailable_reason": REASONS[state],
            "stopped": False,
            "engine_state": "ACTIVATED" if state == "ON" else None,
            "engine_status": "OK" if state == "ON" else "KO",
            "monitor_status": "KO" if state == "DISCONNECTED" else "OK",
            "breaker": "CLOSED",
            "unconfirmed": 0,
            "current_driver": None,
            "current_session": None,
            "kw_rate": 22.0,
            "euro_rate": 0.3,
            "location": self._random.choice(PLACES),
            "last_update": text_of(since),
            "monitor_last_seen": text_of(since),
            "telemetry": None,
        }
        if state == "ON" and self._random.random() < self._busy:
            self._charge(point, number)
        return point

    def _charge(self, point: Fields, number: int) -> None:
        driver, session = self._random.choice(DRIVERS), f"session-{number:032x}"
        kwh = round(self._random.random() * 20, 6)
        about = {"session_id": session, "driver_id": driver, "ts": text_of(datetime.now(UTC))}
        point["telemetry"] = {"kw": 22.0, "kwh": kwh, "euros": round(kwh * 0.3, 4), **about}
        point |= {"current_driver": driver, "current_session": session, "available": False}

    def change(self) -> list[Fields]:
        """The points that the next update tells of."""
        changed = self._random.sample(self.charging, min(CHANGING_EACH_UPDATE, len(self.charging)))
        for point in changed:
            meter = point["telemetry"]
            meter["kwh"] = round(meter["kwh"] + 0.0061, 6)
            meter["euros"] = round(meter["kwh"] * 0.3, 4)
        return changed

    @property
    def troubled(self) -> list[Fields]:
        """Those that are not ON, BROKEN ones first."""
        found = [point for point in self.points if point["state"] != "ON"]
        return sorted(found, key=lambda point: str(point["state"]))

    @property
    def network(self) -> Fields:
        """The network as a whole."""
        states = [point["state"] for point in self.points]
        alerts = [_alert(point) for point in self.troubled]
        return {
            "service": "healthy",
            "error": None,
            "central_id": "central-crowd",
            "holding_back": None,
            "kw": 22.0 * len(self.charging),
            "states": {name: states.count(name) for name in ("ON", "BROKEN", "DISCONNECTED")},
            "today": {"date": "2026-01-31", "sessions": 4812, "kwh": 60120.5, "euros": 18036.15},
            "alerts": alerts[:ALERTS_MAX],
            "alerts_left_out": max(0, len(alerts) - ALERTS_MAX),
        }

    @property
    def events(self) -> list[Fields]:
        """The last events, the newest last."""
        begun = [_event("SESSION_STARTED", point) for point in self.charging[:ALERTS_MAX]]
        lost = [
            _event("FAULT" if point["state"] == "BROKEN" else "DISCONNECTED", point)
            for point in self.troubled[:ALERTS_MAX]
        ]
        return sorted(begun + lost, key=lambda event: str(event["ts"]))

    @property
    def snapshot(self) -> Fields:
        """The first message of a connection."""
        return {
            "type": "snapshot",
            "seq": 1,
            "charging_points": self.points,
            "active_requests": 3,
            "events": self.events,
            "network": self.network,
        }


def _alert(point: Fields) -> Fields:
    state, cp_id = point["state"], point["cp_id"]
    return {
        "kind": state.lower(),
        "cp_id": cp_id,
        "text": f"{cp_id} is {state}: {point['unavailable_reason']}.",
        "advice": ADVICE[state],
        "since": point["state_since"],
    }


def _event(kind: str, point: Fields) -> Fields:
    cp_id, session = point["cp_id"], point["current_session"]
    text = f"{cp_id} {REASONS[point['state']]}"
    if session:
        text = f"{cp_id} begins a session of {point['current_driver']}"
    event: Fields = {"kind": kind, "cp_id": cp_id, "text": text, "ts": point["state_since"]}
    return {**event, "session_id": session} if session else event


@attrs.frozen
class Served:
    """Where a crowd is served."""

    url: str
    crowd: Crowd


@contextmanager
def served_crowd(crowd: Crowd, guard: Guard | None = None) -> Iterator[Served]:
    """The page and the feed of these charging points, from a thread of its own; for everybody, or
    for those whom `guard` lets in."""
    http_port, feed_port = free_port(), free_port()
    ready, stop = threading.Event(), threading.Event()
    thread = threading.Thread(
        target=trio.run, args=(_serve, crowd, guard, http_port, feed_port, ready, stop), daemon=True
    )
    thread.start()
    try:
        assert ready.wait(READY_S_MAX)
        yield Served(f"http://{HOST}:{http_port}/", crowd)
    finally:
        stop.set()
        thread.join()


async def _serve(
    crowd: Crowd,
    guard: Guard | None,
    http_port: int,
    feed_port: int,
    ready: threading.Event,
    stop: threading.Event,
) -> None:
    snapshot = orjson.dumps(crowd.snapshot).decode()

    async def feed(request: WebSocketRequest) -> None:
        is_known = None if guard is None else guard.reader_of(request.path)
        if is_known is not None and not is_known():
            await request.reject(401)
            return
        socket = await request.accept()
        seq = 1
        try:
            await socket.send_message(snapshot)
            while True:
                await trio.sleep(UPDATE_S)
                if is_known is not None and not is_known():
                    await socket.aclose(STRANGER, "the reader is not known any more")
                    return
                seq += 1
                update = {"type": "update", "seq": seq, "charging_points": crowd.change()}
                update |= {"removed": [], "active_requests": 3, "events": []}
                await socket.send_message(orjson.dumps(update).decode())
        except ConnectionClosed:
            return

    listeners = await trio.open_tcp_listeners(http_port, host=HOST)
    app: Any = app_of(FakeCentral(feed_port=feed_port))
    if guard is not None:
        app = guard.around(app, lambda access: central_page(HOST, feed_port, access))
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_app, app, listeners, stopping=trio.Event()))
        await nursery.start(serve_websocket, feed, HOST, feed_port, None)
        ready.set()
        while not stop.is_set():
            await trio.sleep(UPDATE_S)
        nursery.cancel_scope.cancel()
