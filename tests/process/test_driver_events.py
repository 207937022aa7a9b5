"""The events of a real driver's page, through what fails around it."""

import contextlib
from collections.abc import Iterator
from typing import Any

import attrs
import httpx
import orjson
import pytest

from tests.network.network import READY_S_MAX, Network
from tests.network.processes import STOP_S_MAX, Program, free_port, listens
from tests.network.waiting import wait_until

SHOWN_S_MAX = 20.0


@attrs.define
class Page:
    """All that a page was told, key by key; `points` has the status of each charging point."""

    lines: Iterator[str]
    shown: dict[str, Any] = attrs.field(factory=dict)
    points: dict[str, str] = attrs.field(factory=dict)
    news: list[str] = attrs.field(factory=list)

    def read(self) -> bool:
        """Take the next event; False at the end of the stream."""
        for line in self.lines:
            if line.startswith("data: {"):
                event = orjson.loads(line[6:])
                self.shown |= event
                for point in event.get("charging_points") or ():
                    self.points[point["cp_id"]] = point["status"]
                self.news = [each["status"] for each in event.get("news", ())] + self.news
                return True
        return False


@contextlib.contextmanager
def followed(port: int) -> Iterator[Page]:
    """A page that follows the driver at `port`."""
    url = f"http://127.0.0.1:{port}/drivers/driver-alice/events"
    with httpx.stream("GET", url, timeout=SHOWN_S_MAX) as answer:
        yield Page(answer.iter_lines())


@pytest.fixture
def network(tmp_path: Any) -> Iterator[Network]:
    """One charging point that charges for long."""
    flags = ("--session-seconds", "600", "--telemetry-interval", "0.3")
    with Network(tmp_path) as network:
        yield network.up("CP-001", engine_flags=flags)


def serve(network: Network) -> tuple[Program, int]:
    """Start the driver, and wait until it answers."""
    port = free_port()
    driver = network.driver("driver-alice", flags=("--http-port", str(port)))
    driver.start()
    wait_until(lambda: listens(port), READY_S_MAX, "the driver's page is served")
    return driver, port


@pytest.mark.slow
def test_a_page_follows_a_session_and_survives_without_central(network: Network) -> None:
    """Proves: a page is told of the free charging point, the session with its meter and course, and
    of Central's absence and return, over one stream; the driver's stop ends it at once, and in
    time."""
    driver, port = serve(network)
    with followed(port) as page:

        def wait(condition: Any, what: str) -> None:
            wait_until(lambda: page.read() and condition(), SHOWN_S_MAX, what, look_s=0.0)

        wait(lambda: page.points.get("CP-001") == "FREE", "it is free")
        wait_until(
            lambda: (
                httpx.post(
                    f"http://127.0.0.1:{port}/drivers/driver-alice/requests",
                    json={"cp_id": "CP-001"},
                ).is_success
            ),
            SHOWN_S_MAX,
        )
        wait(lambda: (page.shown["current"] or {}).get("kwh"), "a reading")
        wait(lambda: len(page.shown["current"]["curve"]) > 2, "a course")
        (request,) = page.shown["requests"]
        assert (request["status"], request["ending"]) == ("IN_PROGRESS", False)
        wait(lambda: page.points["CP-001"] == "OCCUPIED", "it is occupied")
        assert page.news == ["ACCEPTED"]
        central = network.central()
        central.kill()
        wait(lambda: page.shown["lost"] and page.points["CP-001"] == "OFFLINE", "Central is away")
        assert page.shown["current"]["session_id"] == request["session_id"]
        central.start()
        wait(lambda: not page.shown["lost"], "Central is back")
        wait(lambda: page.points["CP-001"] == "OCCUPIED", "it is occupied still")
        assert driver.stop(STOP_S_MAX) == 0
        while page.read():
            pass
