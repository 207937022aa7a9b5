"""The driver's daemon: steps in order, a virtual clock, a screen that nobody may have to read."""

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import attrs
import pytest
import trio
import trio.testing

from evd.adapters.files.notebook import FILE_NAME, Notebook, NotSaved
from evd.adapters.http.metrics import Metrics
from evd.adapters.kafka import Consumer, Producer, RawMessage
from evd.adapters.kafka.messenger import Messenger
from evd.core.driver.core import Driver, DriverSettings
from evd.core.driver.disk import BLANK_DISK, DriverDisk
from evd.core.driver.events import AskWanted, Save
from evd.core.driver.requests_file import parse_requests
from evd.core.effects import Note, Now, Send
from evd.core.machine import Saved, SaveFailed
from evd.core.wire import codec
from evd.core.wire.messages import (
    BEACONS,
    DEAD_LETTERS,
    UPDATES,
    Action,
    Beacon,
    DriverRequest,
    Message,
    RequestStatus,
)
from evd.core.wire.partition import Mark, Place
from evd.daemons.driver.loop import Loop
from evd.daemons.driver.metrics import DriverMetrics
from evd.daemons.driver.program import feed_beacons, feed_ticks, feed_updates
from evd.daemons.driver.screen import LINES_WAITING_MAX, Screen, hold_stdout, wants_color
from evd.daemons.driver.steps import MarkRead, Rest, Take, in_order, read_updates
from tests.network.pairs import eventually
from tests.unit.driver.scene import ALICE, WALL, accepted, completed, update

EVD_DRIVER = Path(sys.executable).with_name("evd-driver")


class FakeConsumer:
    """Batches that a test hands over, and the marks that were committed."""

    def __init__(self, topic: str) -> None:
        self.committed: dict[Place, Mark] = {}
        self._topic = topic
        self._send, self.batches = trio.open_memory_channel[list[RawMessage]](100)
        self._offset = 0

    def put(self, *values: Message | bytes) -> None:
        batch = []
        for value in values:
            raw = value if isinstance(value, bytes) else codec.encode(value, WALL, "m-1")
            batch.append(RawMessage(self._topic, 0, self._offset, None, raw))
            self._offset += 1
        self._send.send_nowait(batch)

    def commit(self, marks: dict[Place, Mark]) -> None:
        self.committed.update(marks)


class FakeProducer:
    """A producer that keeps the posted messages."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, bytes]] = []

    def post(self, topic: str, key: object, value: bytes, headers: object = None) -> bool:
        self.posted.append((topic, value))
        return True


@attrs.define
class Disk:
    """A disk that can be told to refuse."""

    kept: DriverDisk = BLANK_DISK
    refuses: bool = False

    async def save(self, disk: DriverDisk) -> None:
        await trio.sleep(0.01)
        if self.refuses:
            raise NotSaved("No space left on device")
        self.kept = disk


class World:
    """A driver's loop among fakes; its user reads from a pipe."""

    def __init__(self, disk: Disk, file: str = "") -> None:
        self.disk = disk
        self.updates, self.beacons = FakeConsumer(UPDATES), FakeConsumer(BEACONS)
        self.producer = FakeProducer()
        self.broker_up = True
        self.stdout, self._written = os.pipe()
        core = Driver(
            DriverSettings(
                driver_id=ALICE,
                request_interval_s=4.0,
                request_timeout_s=10.0,
                file_digest="digest" if file else "",
                file_lines=parse_requests(file),
            ),
            disk.kept,
        )
        self.metrics = DriverMetrics(Metrics())
        self.messenger = Messenger(cast(Producer, self.producer), self.metrics.on_dead_letter)
        self.loop = Loop(
            ALICE,
            core,
            save=disk.save,
            send=self.messenger.send,
            broker_up=lambda: self.broker_up,
            screen=Screen(self._written),
            metrics=self.metrics,
        )

    async def start(self, nursery: trio.Nursery) -> None:
        await self.loop.start()
        nursery.start_soon(feed_ticks, self.loop)
        nursery.start_soon(feed_updates, self.loop, cast(Consumer, self.updates), self.messenger)
        nursery.start_soon(feed_beacons, self.loop, cast(Consumer, self.beacons), self.messenger)

    def sent(self) -> list[DriverRequest]:
        """The requests that went out since the last call."""
        posted, self.producer.posted = self.producer.posted, []
        messages = [codec.decode(topic, raw) for topic, raw in posted if topic != DEAD_LETTERS]
        return [message for message in messages if isinstance(message, DriverRequest)]

    def lines(self) -> list[str]:
        """Return the lines that the user can read since the last call."""
        if not select.select([self.stdout], [], [], 0)[0]:
            return []
        return os.read(self.stdout, 1_000_000).decode().splitlines()

    def columns(self) -> list[tuple[str, str, str]]:
        """Status, charging point and text of each line."""
        split = [line.split(" | ") for line in self.lines()]
        return [(status, cp_id, text) for _, status, _, cp_id, text in split]

    def metric(self, line: str) -> float:
        rendered = self.metrics.render().decode().splitlines()
        [found] = [each for each in rendered if each.startswith(line + " ")]
        return float(found.rpartition(" ")[2])

    def close(self) -> None:
        os.close(self.stdout)
        os.close(self._written)


@contextmanager
def world(disk: Disk | None = None, file: str = "") -> Iterator[World]:
    """A world, and its end."""
    made = World(disk or Disk(), file)
    try:
        yield made
    finally:
        made.close()


async def test_a_file_is_worked_through(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: asked after the first beacon, told line by line, the next after the interval, the
    offset committed only after what it changed was saved."""
    with world(file="CP-001\nany\n") as w:
        async with trio.open_nursery() as nursery:
            await w.start(nursery)
            await trio.sleep(3)
            assert w.sent() == []
            w.beacons.put(Beacon("central-1", 1, 7.0), Beacon("central-1", 1, 8.0))
            await trio.sleep(0.1)
            [start] = w.sent()
            assert start.seen is not None
            assert (start.action, start.cp_id, start.seen.up_s) == (Action.START, "CP-001", 8.0)
            w.updates.put(
                accepted(start.request_id),
                attrs.evolve(update("req-x", RequestStatus.FAILED), driver_id="driver-bob"),
                update(
                    start.request_id, RequestStatus.IN_PROGRESS, kw=22.0, kwh=0.061, euros=0.0183
                ),
            )
            w.updates.put(completed(start.request_id))
            await eventually(lambda: w.updates.committed.get((UPDATES, 0)) == Mark("", 4), 60)
            assert w.disk.kept.finals[0].status is RequestStatus.COMPLETED
            assert w.columns() == [
                ("ACCEPTED", "CP-001", "session-1"),
                ("IN_PROGRESS", "CP-001", "22.0 kW, 0.061 kWh, 0.0183 €"),
                ("COMPLETED", "CP-001", "0.061 kWh, 0.02 €"),
            ]
            w.sent()
            await trio.sleep(3.5)
            assert w.sent() == []
            await trio.sleep(1)
            assert w.sent()[0].cp_id is None
            assert w.metric('evd_driver_requests_total{status="COMPLETED"}') == 1
            nursery.cancel_scope.cancel()


async def test_the_wait_for_a_yes_is_measured(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: the time until ACCEPTED counts from when the request was first sent, however often it
    is repeated; one that is refused counts for nothing."""
    with world(file="CP-001\nCP-002\n") as w:
        async with trio.open_nursery() as nursery:
            await w.start(nursery)
            w.beacons.put(Beacon("central-1", 1, 8.0))
            await eventually(lambda: len(w.producer.posted) >= 3, 30)
            request_id = w.sent()[0].request_id
            w.updates.put(accepted(request_id), completed(request_id))
            w.beacons.put(Beacon("central-1", 1, 14.0))
            await eventually(lambda: bool(w.producer.posted), 30)
            w.updates.put(update(w.sent()[0].request_id, RequestStatus.DENIED))
            await eventually(
                lambda: w.metric('evd_driver_requests_total{status="DENIED"}') == 1, 30
            )
            assert w.metric("evd_driver_request_accepted_seconds_count") == 1
            assert w.metric("evd_driver_request_accepted_seconds_sum") >= 2.0
            nursery.cancel_scope.cancel()


async def test_a_disk_that_refuses_holds_news_back_and_loses_none(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """Proves: what can't be saved is not told and not committed, and both happen when it can."""
    with world() as w:
        async with trio.open_nursery() as nursery:
            await w.start(nursery)
            w.beacons.put(Beacon("central-1", 1, 7.0))
            await w.loop.want(AskWanted("req-a", "CP-001", None))
            w.disk.refuses = True
            w.updates.put(update("req-a", RequestStatus.DENIED, "busy"))
            await trio.sleep(5)
            assert (w.lines(), w.updates.committed) == ([], {})
            assert "No space left" in (w.loop.unhealthy() or "")
            with pytest.raises(NotSaved):
                await w.loop.ask("CP-002", None)
            w.disk.refuses = False
            await eventually(lambda: w.updates.committed, 60)
            assert w.columns() == [("DENIED", "CP-001", "busy")]
            assert w.disk.kept.requests == ()
            assert w.metric("evd_driver_save_failures_total") > 0
            nursery.cancel_scope.cancel()


async def test_bad_messages_are_put_aside(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: poison on both topics is sent to the dead letters, counted, and read past."""
    with world() as w:
        async with trio.open_nursery() as nursery:
            await w.start(nursery)
            w.beacons.put(b"\xff", b"{}", Beacon("central-1", 1, 7.0))
            w.updates.put(b"[]", update("req-x", RequestStatus.DENIED, "busy"))
            await eventually(lambda: w.updates.committed.get((UPDATES, 0)) == Mark("", 2), 60)
            assert [topic for topic, _ in w.producer.posted] == [DEAD_LETTERS] * 3
            assert w.metric('evd_dead_letters_total{topic="central.beacons"}') == 2
            assert w.metric('evd_dead_letters_total{topic="driver.updates"}') == 1
            assert w.columns() == [("DENIED", "CP-001", "busy")]
            nursery.cancel_scope.cancel()


async def test_health_says_what_is_away(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: healthy only while broker and Central are there, with the reason if not."""
    with world() as w:
        assert w.loop.unhealthy() == "Central was not heard yet"
        await w.loop.want(Beacon("central-1", 1, 7.0))
        assert w.loop.unhealthy() is None
        await trio.sleep(9)
        assert w.loop.unhealthy() == "Central was not heard for 9 s"
        w.broker_up = False
        assert w.loop.unhealthy() == "the broker does not answer"


async def test_notifications_survive_a_restart(autojump_clock: trio.testing.MockClock) -> None:
    """Proves: what was told is newest first, and final statuses are known after a restart."""
    disk = Disk()
    with world(disk) as w:
        for number in range(3):
            await w.loop.want(update(f"req-{number}", RequestStatus.DENIED, "busy"))
        assert [u.request_id for u in w.loop.notifications()] == ["req-2", "req-1", "req-0"]
    with world(disk) as again:
        assert [u.request_id for u in again.loop.notifications()] == ["req-2", "req-1", "req-0"]


def test_a_reader_that_stops_holds_nothing_up() -> None:
    """Proves: lines wait up to the bound, the oldest go first, and a reader gets the rest whole."""
    reading, writing = os.pipe()
    screen = Screen(writing)
    filler = "x" * 1000
    for number in range(LINES_WAITING_MAX * 2):
        screen.show(f"{number} {filler}", RequestStatus.ACCEPTED)
    assert screen.dropped_count > 0
    received = b""
    while select.select([reading], [], [], 0)[0]:
        received += os.read(reading, 100_000)
        screen.flush()
    numbers = [int(line.split()[0]) for line in received.decode().splitlines()]
    assert numbers == sorted(numbers)
    assert numbers[-1] == LINES_WAITING_MAX * 2 - 1
    assert len(numbers) + screen.dropped_count == LINES_WAITING_MAX * 2
    os.close(reading)
    os.close(writing)


def test_a_reader_that_leaves_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Proves: a broken pipe is said once and costs nothing else."""
    reading, writing = os.pipe()
    os.close(reading)
    screen = Screen(writing)
    for _ in range(3):
        screen.show("a line", RequestStatus.ACCEPTED)
    assert caplog.text.count("Nobody reads stdout") == 1
    assert screen.dropped_count == 3
    os.close(writing)


def test_a_stdout_that_was_closed_becomes_nobodys_socket() -> None:
    """Proves: lines go nowhere, and not into whatever got the number of stdout."""
    reading, writing = os.pipe()
    os.close(writing)
    hold_stdout(writing)
    assert os.fstat(writing).st_rdev == os.stat(os.devnull).st_rdev
    hold_stdout(reading)
    assert os.fstat(reading).st_rdev != os.stat(os.devnull).st_rdev
    os.close(reading)
    os.close(writing)


def test_colours_only_on_a_terminal_or_asked_for() -> None:
    """Proves: a file gets plain text; a terminal colours, unless its user wants none."""
    ours, terminal = os.openpty()
    reading, pipe = os.pipe()
    assert wants_color("auto", terminal, {"TERM": "xterm"})
    assert not wants_color("auto", terminal, {"NO_COLOR": "1"})
    assert not wants_color("auto", terminal, {"TERM": "dumb"})
    assert not wants_color("auto", pipe, {})
    assert wants_color("always", pipe, {"NO_COLOR": "1"})
    assert not wants_color("never", terminal, {})
    Screen(pipe, color=True).show("t | FAILED | r | - | FAILED", RequestStatus.FAILED)
    assert os.read(reading, 1000) == b"t | \x1b[31mFAILED\x1b[0m | r | - | FAILED\n"
    for fd in (ours, terminal, reading, pipe):
        os.close(fd)


def _refused(tmp_path: Path, *flags: str, **env: str) -> str:
    """Return the line on stderr of an evd-driver that refuses to start."""
    done = subprocess.run(
        [EVD_DRIVER, "--driver-id", ALICE, "--state-dir", str(tmp_path), *flags],
        capture_output=True,
        env={**os.environ, **env},
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    return line


def test_a_state_directory_is_one_drivers_and_one_processs(tmp_path: Path) -> None:
    """Proves: a second process, and another driver, are turned away with exit code 2; a stopped
    driver exits 0."""
    flags = ["--kafka-bootstrap", "127.0.0.1:1", "--state-dir", str(tmp_path)]
    with subprocess.Popen(
        [EVD_DRIVER, "--driver-id", ALICE, *flags], stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stderr is not None
        while " Ready" not in running.stderr.readline():
            assert running.poll() is None
        assert "--state-dir" in _refused(tmp_path, *flags)
        running.terminate()
        running.stderr.read()
        assert running.wait(timeout=10) == 0
    Notebook(tmp_path, "driver-bob").write(BLANK_DISK)
    assert "driver-bob" in _refused(tmp_path, *flags)
    assert json.loads((tmp_path / FILE_NAME).read_bytes())["driver_id"] == "driver-bob"


def test_nothing_behind_a_failed_save_is_done() -> None:
    """Proves: a save comes first, and after its failure no step follows: the request is neither
    sent nor kept, and a later one is decided anew."""
    core = Driver(
        DriverSettings(driver_id=ALICE, request_interval_s=4, request_timeout_s=10), BLANK_DISK
    )
    moment = Now(0.0, WALL)
    core.start(moment)
    core.handle(Beacon("central-1", 1, 7.0), moment)
    steps = in_order(core, core.handle(AskWanted("req-a", "CP-001", None), moment), lambda: moment)
    assert isinstance(next(steps), Save)
    with pytest.raises(StopIteration) as end:
        steps.send(SaveFailed("disk full"))
    assert end.value.value == SaveFailed("disk full")
    assert core.open_count == 0
    steps = in_order(core, core.handle(AskWanted("req-b", "CP-001", None), moment), lambda: moment)
    outcome, taken = None, []
    with contextlib.suppress(StopIteration):
        while True:
            step = steps.send(outcome)
            outcome = Saved() if isinstance(step, Save) else None
            taken.append(type(step))
    assert taken == [Save, Note, Send]


def test_a_batch_is_read_once_its_own_updates_are_saved() -> None:
    """Proves: others' updates in the partition are skipped, one that can't be saved is tried again
    after a rest, and only then the batch is marked as read."""
    own = update("req-a", RequestStatus.DENIED, "busy")
    steps = read_updates(ALICE, [attrs.evolve(own, driver_id="driver-bob"), own])
    assert next(steps) == Take(own)
    assert isinstance(steps.send(False), Rest)
    assert steps.send(None) == Take(own)
    assert steps.send(True) == MarkRead()
    assert [*steps] == []
