"""Central's clients with the addresses of several, of which one serves."""

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import attrs
import pytest
import trio

from evd.adapters.http.central_client import Central, CentralAway, CentralRefused
from evd.adapters.http.client import Way
from evd.adapters.http.driver_central import DriverCentral
from evd.adapters.http.refused import STANDING_BY
from evd.adapters.http.turn import Turn
from tests.network.processes import free_port
from tests.unit.cli.scene import Answer, Answers, answering

POINTS: Answer = (200, {"charging_points": [], "active_requests": 0}, {})
CHARGED: Answer = (202, {"request_id": "req-1"}, {})
STANDS_BY: Answer = (
    503,
    {"error": "standing by for a:8000", "code": STANDING_BY},
    {"Retry-After": "1"},
)
NOT_YET: Answer = (503, {"error": "not yet"}, {"Retry-After": "3"})
KNOWN: Answer = (404, {"error": "no such request"}, {})


@attrs.define
class Servers:
    """Some servers, by what they answer."""

    ways: list[Way]
    answers: list[Answers]

    @property
    def counts(self) -> list[int]:
        """How often each was asked."""
        return [len(each.asked) for each in self.answers]


@contextmanager
def serving(*given: Answer) -> Iterator[Servers]:
    """A server for each answer."""
    with ExitStack() as stack:
        answers = [Answers([each]) for each in given]
        centrals = [stack.enter_context(answering(each)) for each in answers]
        yield Servers([each.way for each in centrals], answers)


def nobody() -> Way:
    """An address at which nothing listens."""
    return Way(f"http://127.0.0.1:{free_port()}")


@contextmanager
def mute() -> Iterator[Way]:
    """A server that takes connections, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield Way(f"http://127.0.0.1:{server.getsockname()[1]}")


def test_all_in_turn_from_the_one_that_served() -> None:
    """Proves: each is tried once, first the one that served last."""
    turn = Turn("abc", first=1)
    assert "".join(turn) == "bca"
    turn.served("c")
    assert ("".join(turn), turn.present, turn.several) == ("cab", "c", True)


@pytest.mark.parametrize("call", [Central.charging_points, lambda c: c.charge({"driver_id": "d"})])
def test_the_one_that_serves_is_found_and_asked_first(call: Callable[[Central], Any]) -> None:
    """Proves: nobody's address and a Central that stands by are passed by, for calls that change
    something too, and the next call begins with the one that served."""
    both: Answer = (200, POINTS[1] | CHARGED[1], {})
    with serving(STANDS_BY, both) as found:
        central = Central([nobody(), *found.ways])
        call(central)
        call(central)
        assert found.counts == [1, 2]
        assert central.way.url == found.ways[1].url
        found.answers[0].answers = [both]
        found.answers[1].answers = [STANDS_BY]
        call(central)
    assert found.counts == [2, 3]


def test_what_changes_something_is_asked_once() -> None:
    """Proves: a call that may have been carried out, or that a Central which serves has refused, is
    given to no other; one that only reads is."""
    with serving(CHARGED) as found, mute() as silent:
        central = Central([silent, *found.ways], 0.2)
        with pytest.raises(CentralAway, match="does not answer within"):
            central.charge({"driver_id": "d"})
        assert found.counts == [0]
        found.answers[0].answers = [POINTS]
        central.charging_points()
        assert found.counts == [1]
    with serving(NOT_YET, CHARGED) as found:
        with pytest.raises(CentralRefused) as caught:
            Central(found.ways).charge({"driver_id": "d"})
        assert (str(caught.value), caught.value.retry_s) == ("not yet", 3.0)
        assert found.counts == [1, 0]


def test_what_a_serving_central_says_counts() -> None:
    """Proves: an unknown thing is an answer, and no reason to ask another Central."""
    with serving(KNOWN, POINTS) as found, pytest.raises(CentralRefused, match="no such request"):
        Central(found.ways).request("req-1")
    assert found.counts == [1, 0]


def test_each_is_named_where_none_serves() -> None:
    """Proves: the error says of each address what became of it, and when to ask again; where
    nobody answers at all Central is away."""
    away = nobody()
    with serving(STANDS_BY, NOT_YET) as found, pytest.raises(CentralRefused) as caught:
        Central([*found.ways, away]).health()
    said = str(caught.value)
    assert f"Central at {found.ways[0].url}: standing by for a:8000" in said
    assert f"Central at {found.ways[1].url}: not yet" in said
    assert f"Central at {away.url} can't be reached: Connection refused" in said
    assert (caught.value.retry_s, caught.value.code) == (1.0, STANDING_BY)
    with pytest.raises(CentralAway, match=f"{away.url} can't.*; .* can't be reached"):
        Central([away, nobody()]).health()


def test_a_table_comes_from_the_one_that_serves() -> None:
    """Proves: a download goes on to the next Central before its first piece, and never after it."""
    with serving(STANDS_BY, (200, b"session_id\r\n", {})) as found:
        assert b"".join(Central(found.ways).sessions_csv()) == b"session_id\r\n"
    cut_off = (200, b"2\r\nxx\r\n", {"Transfer-Encoding": "chunked"})
    with serving(cut_off, (200, b"session_id\r\n", {})) as found:
        pieces = Central(found.ways).sessions_csv()
        assert next(pieces) == b"xx"
        with pytest.raises(CentralAway, match="breaks off"):
            next(pieces)
    assert found.counts == [1, 0]


async def test_a_drivers_page_finds_it_too() -> None:
    """Proves: the page begins with the Central that served last, goes on where one stands by or is
    silent, tells the new one to be kept, and names each where none serves."""
    kept: list[str] = []
    with serving(STANDS_BY, POINTS) as found, mute() as silent:
        ways = [silent, *found.ways]
        page = DriverCentral(ways, 0.5, first=found.ways[0].url, keep=kept.append)
        assert await page.charging_points() == []
        assert (found.counts, kept) == ([1, 1], [found.ways[1].url])
        found.answers[1].answers = [STANDS_BY]
        with pytest.raises(CentralAway) as caught, trio.fail_after(30):
            await page.charging_points()
        assert all(way.url in str(caught.value) for way in ways)
        found.answers[0].answers = [POINTS]
        await page.charging_points()
    assert kept[1:] == [found.ways[0].url]


async def test_a_page_of_one_central_keeps_nothing() -> None:
    """Proves: where there is one address its file is not written."""
    kept: list[str] = []
    with serving(POINTS) as found:
        await DriverCentral(found.ways, keep=kept.append).charging_points()
    assert kept == []
