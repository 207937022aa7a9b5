"""Central's side of the feed: which charging points are looked at, when, and what is told."""

import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import attrs
import pytest
import trio
import trio.testing

from evd.adapters.feed.metrics import FeedMetrics
from evd.adapters.feed.outlet import Outlet
from evd.adapters.feed.publisher import ALIVE_S, Client
from evd.adapters.http.metrics import Metrics
from evd.adapters.store.history_queries import TimelineEntry
from evd.core.central.overview import Ended, EndedOfDay, EventKind
from evd.core.central.point import Point
from evd.core.central.rows import (
    BreakerState,
    ChargingPoint,
    EventType,
    FaultEvent,
    HealthSnapshot,
    Image,
    Meta,
    Removal,
    ShownState,
)
from evd.core.central.timeline import Entry
from evd.core.central.views import CpView
from evd.core.effects import Now
from evd.daemons.central.feed import QUIET_ROUND_S, ROUND_S, Feed
from evd.daemons.central.inbox import Inbox
from evd.daemons.central.metrics import Gauged
from evd.daemons.central.service import Service
from tests.shell.alone import ALONE, StandingBy

Clock = trio.testing.MockClock
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
Message = dict[str, Any]


@attrs.define
class Core:
    """A Central whose charging points are as the test says; it notes which are looked at."""

    points: dict[str, CpView] = attrs.Factory(dict)
    looked: list[str] = attrs.Factory(list)
    changed: list[str] = attrs.Factory(list)
    holding_back: str | None = None
    active_requests: int = 0
    central_id: str = "central-1"

    @property
    def cp_ids(self) -> list[str]:
        return [*self.points]

    def knows(self, cp_id: str) -> bool:
        return cp_id in self.points

    def take_changed(self) -> list[str]:
        changed, self.changed = self.changed, []
        return changed

    def view(self, cp_id: str, _: Now) -> CpView:
        self.looked.append(cp_id)
        return self.points[cp_id]

    def outline(self, cp_id: str, _: Now) -> tuple[object, ...]:
        view = self.points[cp_id]
        return (attrs.evolve(view, monitor_last_seen=None),)

    def put(self, *cp_ids: str, **fields: Any) -> None:
        """Change charging points, or add them."""
        for cp_id in cp_ids:
            before = self.points.get(cp_id) or Point(ChargingPoint(cp_id), 0.0).view(None, 0.0)
            self.points[cp_id] = attrs.evolve(before, **fields)
            self.changed.append(cp_id)


@attrs.define
class Reader:
    """A client that takes all at once, with the times at which it did."""

    messages: list[Message] = attrs.Factory(list)
    times_s: list[float] = attrs.Factory(list)
    is_clear: bool = True

    def write(self, *parts: bytes) -> None:
        data = b"".join(parts)
        self.messages.append(json.loads(data[data.index(b"{") :]))
        self.times_s.append(trio.current_time())


@attrs.define
class Scene:
    """A feed that runs, and its core."""

    core: Core
    feed: Feed
    service: Service
    metrics: Metrics

    def begin(self, core: Core) -> None:
        """Let this core run from now on."""
        self.core = core
        self.feed.begin(Image(Meta("central-1", 1)), EndedOfDay(Ended(1, 1_000_000, 30)))
        self.service.start_serving(cast(Any, core), cast(Any, None))

    def join(self) -> tuple[Reader, Client]:
        reader = Reader()
        client = Client(cast(Outlet, reader), None)
        self.feed.publisher.join(client)
        return reader, client

    def touch(self, *cp_ids: str) -> None:
        """Store something of these charging points."""
        self.feed.on_stored([FaultEvent(each, EventType.FAULT, "x", NOON) for each in cp_ids])


async def unrendered(_: Gauged) -> bytes:
    """No metrics."""
    return b""


@pytest.fixture
async def scene(nursery: trio.Nursery) -> AsyncIterator[Scene]:
    """A feed of CP-0 to CP-9 that has just begun."""
    service, metrics = Service(Inbox(), lambda: True, unrendered, 8765, ALONE), Metrics()
    scene = Scene(Core(), Feed(service, FeedMetrics(metrics)), service, metrics)
    core = Core()
    core.put(*(f"CP-{n}" for n in range(10)))
    scene.begin(core)
    nursery.start_soon(scene.feed.run)
    yield scene
    nursery.cancel_scope.cancel()


def ids(message: Message) -> list[str]:
    """The charging points of a message."""
    return [each["cp_id"] for each in message["charging_points"]]


async def test_nothing_is_looked_at_without_clients(scene: Scene, autojump_clock: Clock) -> None:
    """Proves: while nobody listens a change costs no look at a charging point; the first client
    gets everything, with the events before it and the totals of the day."""
    for _ in range(20):
        scene.touch("CP-1")
        await trio.sleep(1)
    assert scene.core.looked == []
    reader, _ = scene.join()
    await trio.sleep(0.01)
    (snapshot,) = reader.messages
    assert ids(snapshot) == scene.core.cp_ids
    assert len(snapshot["events"]) == 20
    today = snapshot["network"]["today"]
    assert (today["sessions"], today["kwh"], today["euros"]) == (1, 1.0, 0.3)
    assert snapshot["network"]["states"]["DISCONNECTED"] == 10


async def test_a_change_is_told_at_once_and_costs_one_look(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: after a quiet time a charging point that is touched is told without a wait, and no
    other one is looked at for it."""
    reader, _ = scene.join()
    await trio.sleep(10.1)
    await trio.testing.wait_all_tasks_blocked()
    scene.core.looked.clear()
    scene.core.put("CP-3", state=ShownState.BROKEN)
    scene.touch("CP-3")
    before_s = trio.current_time()
    await trio.sleep(QUIET_ROUND_S + 0.001)
    assert reader.times_s[-1] - before_s <= QUIET_ROUND_S
    assert ids(reader.messages[-1]) == ["CP-3"]
    assert reader.messages[-1]["events"][0]["kind"] == "FAULT"
    assert reader.messages[-1]["network"]["states"]["BROKEN"] == 1
    assert scene.core.looked == ["CP-3"]


async def test_there_are_at_most_four_updates_a_second(scene: Scene, autojump_clock: Clock) -> None:
    """Proves: however often things change, a client gets an update each quarter of a second, with
    the newest state in it."""
    reader, _ = scene.join()
    for number in range(1_000):
        scene.core.put("CP-3", location=f"place {number}")
        scene.touch("CP-3")
        await trio.sleep(0.01)
    await trio.sleep(1)
    gaps = [b - a for a, b in zip(reader.times_s[1:], reader.times_s[2:], strict=False)]
    assert min(gaps) >= ROUND_S - 0.001
    assert len(reader.messages) > 30
    last = [each for each in reader.messages if "CP-3" in ids(each)][-1]
    assert last["charging_points"][0]["location"] == "place 999"
    assert [each["seq"] for each in reader.messages] == [*range(1, len(reader.messages) + 1)]


async def test_a_change_by_time_alone_is_told_within_two_seconds(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: a charging point that changes without any message or row, as a breaker does, is told
    all the same."""
    reader, _ = scene.join()
    await trio.sleep(5)
    scene.core.put("CP-7", unavailable_reason="later")
    await trio.sleep(2)
    assert ids(reader.messages[-1]) == ["CP-7"]


async def test_a_client_hears_that_there_is_nothing_new(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: while nothing changes a client is still told so every 10 s, with the next number: a
    page, which sees no pings, can tell silence from a lost connection."""
    reader, _ = scene.join()
    await trio.sleep(35)
    first, *others = reader.messages
    assert [each["seq"] for each in others] == [first["seq"] + n for n in (1, 2, 3)]
    assert all(each["charging_points"] == each["events"] == [] for each in others)
    gaps_s = [late - early for early, late in itertools.pairwise(reader.times_s)]
    assert max(gaps_s) <= ALIVE_S + 1.0


async def test_a_removed_charging_point_is_named(scene: Scene, autojump_clock: Clock) -> None:
    """Proves: one that was taken off the list is in `removed`, once, and in no later snapshot."""
    reader, _ = scene.join()
    await trio.sleep(0.1)
    del scene.core.points["CP-4"]
    scene.feed.on_stored([Removal("CP-4")])
    await trio.sleep(5)
    assert [each.get("removed") for each in reader.messages] == [None, ["CP-4"]]
    later, _ = scene.join()
    assert "CP-4" not in ids(later.messages[0])


async def test_a_standby_tells_nobody_anything(
    nursery: trio.Nursery, autojump_clock: Clock
) -> None:
    """Proves: while another Central serves the feed says nothing and holds nothing against the
    network; a client of the time before is told all from the time on when this one serves."""
    standing = StandingBy()
    service, metrics = Service(Inbox(), lambda: True, unrendered, 8765, standing), Metrics()
    scene = Scene(Core(), Feed(service, FeedMetrics(metrics)), service, metrics)
    nursery.start_soon(scene.feed.run)
    await trio.sleep(5)
    reader, _ = scene.join()
    await trio.sleep(5)
    assert reader.messages == []
    standing.why = ""
    core = Core()
    core.put("CP-1")
    scene.begin(core)
    await trio.sleep(1)
    assert ids(reader.messages[0]) == ["CP-1"]
    assert reader.messages[0]["network"]["alerts"] == []
    told = len(reader.messages)
    standing.why = "the database does not answer: another Central may serve"
    scene.core.put("CP-1", location="elsewhere")
    scene.touch("CP-1")
    await trio.sleep(5)
    assert len(reader.messages) <= told + 1
    nursery.cancel_scope.cancel()


async def test_clients_stay_while_the_database_fails_and_learn_what_changed(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: without a core clients are told that, with an alert, keep what they were shown, and
    get from the next core only what differs."""
    reader, _ = scene.join()
    await trio.sleep(1)
    scene.service.stop_serving("the database fails: the disk is full")
    await trio.sleep(1)
    told = reader.messages[-1]
    assert told["charging_points"] == told["removed"] == []
    assert told["network"]["service"] == "unhealthy"
    assert told["network"]["error"] == "the database fails: the disk is full"
    assert [each["kind"] for each in told["network"]["alerts"]] == ["database"]
    other = Core({**scene.core.points})
    del other.points["CP-0"]
    other.put("CP-1", location="elsewhere")
    scene.begin(other)
    await trio.sleep(1)
    told = reader.messages[-1]
    assert (ids(told), told["removed"]) == (["CP-1"], ["CP-0"])
    assert told["network"]["error"] is None
    assert told["network"]["alerts"] == []


async def test_monitors_that_find_no_place_are_an_alert(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: clients are told at once that monitors are turned away, and when that is over."""
    reader, _ = scene.join()
    whys: list[str | None] = ["all of its places are taken"]
    scene.feed.watch_places(lambda: whys[-1])
    await trio.sleep(1)
    (alert,) = reader.messages[-1]["network"]["alerts"]
    assert (alert["kind"], alert["cp_id"]) == ("monitors_full", None)
    whys.append(None)
    await trio.sleep(1)
    assert reader.messages[-1]["network"]["alerts"] == []


async def test_a_feed_that_was_left_begins_anew(scene: Scene, autojump_clock: Clock) -> None:
    """Proves: after the last client has gone nothing is looked at; the next one gets the newest
    state of a charging point that nobody was told of."""
    _, client = scene.join()
    await trio.sleep(1)
    scene.feed.publisher.leave(client)
    await trio.sleep(2)
    scene.core.looked.clear()
    scene.core.put("CP-5", location="elsewhere")
    scene.touch("CP-5")
    await trio.sleep(5)
    assert scene.core.looked == []
    reader, _ = scene.join()
    await trio.sleep(0.1)
    (found,) = [x for x in reader.messages[0]["charging_points"] if x["cp_id"] == "CP-5"]
    assert found["location"] == "elsewhere"


@attrs.define
class Stored:
    """A database that has a story of the ten minutes before noon."""

    asked: list[dict[str, Any]] = attrs.Factory(list)

    async def timeline(self, **question: Any) -> list[TimelineEntry]:
        self.asked.append(question)
        entries = [
            Entry(EventKind.FAULT, "CP-1", NOON - timedelta(minutes=n), f"fault {n}")
            for n in range(1, 11)
        ]
        return [TimelineEntry(f"{entry.ts}", entry) for entry in entries]


async def test_the_first_snapshot_has_the_events_from_before_the_start(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: what was stored before Central's start stands before what has happened since, oldest
    first, as soon as there is a database; it is asked once."""
    stored = Stored()
    reader, _ = scene.join()
    await trio.sleep(5)
    scene.service.start_serving(cast(Any, scene.core), cast(Any, stored))
    await trio.sleep(1)
    scene.touch("CP-2")
    await trio.sleep(1)
    later, _ = scene.join()
    told = [event["text"] for event in later.messages[0]["events"]]
    assert told == [*(f"CP-1: fault {n}" for n in range(10, 0, -1)), "CP-2: x"]
    first = [event["text"] for message in reader.messages for event in message["events"]]
    assert first == told
    assert len(stored.asked) == 1


async def test_one_that_is_behind_is_told_though_nothing_more_changes(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: a client that could not take an update gets it once it can, without more."""
    reader, _ = scene.join()
    await trio.sleep(1)
    reader.is_clear = False
    scene.core.put("CP-2", location="elsewhere")
    scene.touch("CP-2")
    await trio.sleep(1)
    assert len(reader.messages) == 1
    reader.is_clear = True
    await trio.sleep(1)
    assert [each["seq"] for each in reader.messages] == [1, 2]
    assert ids(reader.messages[1]) == ["CP-2"]


async def test_the_delay_of_each_change_is_measured(scene: Scene, autojump_clock: Clock) -> None:
    """Proves: the histogram counts a round in which something changed, with its merge window."""
    scene.join()
    await trio.sleep(1)
    scene.touch("CP-2")
    await trio.sleep(QUIET_ROUND_S + 0.01)
    scene.touch("CP-2")
    await trio.sleep(1)
    lines = scene.metrics.render().decode().splitlines()
    assert "evd_feed_delay_seconds_count 2.0" in lines
    assert 'evd_feed_delay_seconds_bucket{le="0.05"} 1.0' in lines
    assert 'evd_feed_delay_seconds_bucket{le="0.25"} 2.0' in lines


async def test_a_snapshot_knows_when_a_monitor_was_last_heard(
    scene: Scene, autojump_clock: Clock
) -> None:
    """Proves: that a monitor is heard is no update, but a later snapshot knows it, at the latest
    from the charging point's next row in the history."""
    reader, _ = scene.join()
    await trio.sleep(1)
    scene.core.put("CP-2", monitor_last_seen=NOON)
    row = HealthSnapshot(
        "CP-2", ShownState.DISCONNECTED, None, False, "", BreakerState.CLOSED, NOON
    )
    scene.feed.on_stored([row])
    await trio.sleep(1)
    assert len(reader.messages) == 1
    later, _ = scene.join()
    (found,) = [x for x in later.messages[0]["charging_points"] if x["cp_id"] == "CP-2"]
    assert found["monitor_last_seen"] == "2026-01-31T12:00:00.000000Z"
