"""A monitor with the addresses of several Centrals, of which one serves."""

from typing import Any

import attrs
import pytest

from evd.core.effects import Level
from evd.core.monitor.core import MonitorSettings
from evd.core.monitor.events import Close, KeepAddress, Lost, Peer
from evd.core.wire.control import NackCode, Register
from tests.unit.monitor.world import SETTINGS, World, after

A, B, C = "a:9999", "b:9998", "[::1]:9999"
STANDS_BY = "nacks standing by for a:8000"


def several(*addresses: str, **more: Any) -> MonitorSettings:
    """The settings of a monitor that knows these addresses."""
    return attrs.evolve(SETTINGS, centrals=addresses, **more)


def network(seconds: float, *addresses: str, **world: Any) -> World:
    """A monitor that knows these addresses, after so much time; standbys say so by their code."""
    world = {"nack_code": NackCode.STANDING_BY} | world
    return after(seconds, settings=several(*addresses), **world)


def test_it_finds_the_one_that_serves() -> None:
    """Proves: a refusal and a Central that stands by cost 0.3 s each at the most; the address that
    serves is told and kept, and no line warns of the others."""
    world = network(0.65, A, B, C, centrals={A: "refuses", B: STANDS_BY, C: "acks"})
    assert world.ways() == [A, B, C]
    assert world.monitor.report.registered
    assert world.all(KeepAddress) == [KeepAddress(C)]
    assert world.notes(Level.WARNING) == []
    assert f"Registered with Central central-1 at {C}" in world.notes(Level.INFO)[-1]


def test_it_begins_where_central_was() -> None:
    """Proves: a restarted monitor registers at once with the one that served last."""
    world = network(0.0, A, B, last_served=B, centrals={A: STANDS_BY})
    assert world.ways() == [B]
    assert world.monitor.report.registered


def test_with_one_address_nothing_is_kept() -> None:
    """Proves: a monitor of one Central writes no file and names no address, as ever."""
    world = after(1.0)
    assert world.all(KeepAddress) == []
    assert " at " not in world.notes(Level.INFO)[-1]


def test_a_takeover_and_the_way_back() -> None:
    """Proves: a reset leads to the other address within 0.2 s, a standby that is none yet is asked
    again until it serves; and the same back again."""
    world = network(1.0, A, B, centrals={A: "acks", B: STANDS_BY})
    world.centrals[A] = "refuses"
    world.lose_central(then="refuses")
    world.pass_time(0.21)
    assert world.ways() == [A, B]
    world.pass_time(3.0)
    assert {*world.ways()} == {A, B}
    world.centrals[B] = "acks"
    world.pass_time(2.3)
    assert world.monitor.report.registered
    assert world.ways()[-1] == B
    world.centrals |= {A: "acks", B: STANDS_BY}
    world.lose_central(then=STANDS_BY)
    world.pass_time(0.21)
    assert world.ways()[-1] == A
    assert world.all(KeepAddress) == [KeepAddress(A), KeepAddress(B), KeepAddress(A)]


def test_a_host_without_power_costs_two_seconds() -> None:
    """Proves: a dial without any answer is given up after 2 s, and a Central that has fallen silent
    3 s after its last ACK: each is followed by the next address."""
    world = network(0, A, B, centrals={A: "vanished", B: "acks"})
    world.pass_time(1.9)
    assert world.ways() == [A]
    world.pass_time(0.45)
    assert world.ways() == [A, B]
    assert world.monitor.report.registered
    world.centrals[A] = "acks"
    world.central = "hears nothing"
    world.pass_time(2.9)
    assert world.ways() == [A, B]
    world.pass_time(1.3)
    assert world.ways() == [A, B, A]
    assert world.monitor.report.registered


def test_a_hung_central_is_left_too() -> None:
    """Proves: one whose kernel takes the connection and that answers nothing is a try in vain."""
    world = network(3.35, A, B, centrals={A: "hears nothing", B: "acks"})
    assert world.ways() == [A, B]
    assert world.monitor.report.registered


def test_nobody_serves_for_long() -> None:
    """Proves: while all stand by or are dead, each address is dialed at most once in half the
    longest delay, and at least once in all of it and a little; two lines a minute say what each of
    them said."""
    world = network(120, A, B, centrals={A: "refuses", B: STANDS_BY})
    dials = world.dials(Peer.CENTRAL)
    late = [at_s for at_s in dials if at_s > 20]
    assert 2 * 100 / 2.31 <= len(late) <= 2 * 100 / 1.0 + 2
    said = [
        text for text in world.notes(Level.WARNING) + world.notes(Level.INFO) if "can't" in text
    ]
    assert 4 <= len(said) <= 5
    assert f"nothing listens there; {B}: standing by for a:8000" in said[-1]
    assert world.monitor.report.central_id is None


def test_all_hosts_without_power() -> None:
    """Proves: a round that took long is followed by the next one at once: a Central that comes back
    behind a dead address is found within the time of that address."""
    world = network(60, A, B, C, central="vanished")
    dials = world.dials(Peer.CENTRAL)
    assert 60 / 2.31 - 1 <= len(dials) <= 60 / 2.1 + 1
    world.centrals[C] = "acks"
    world.pass_time(3 * 2.31)
    assert world.monitor.report.registered


@pytest.mark.parametrize("code", [NackCode.DUPLICATE, NackCode.FULL, NackCode.UNAUTHORIZED])
def test_a_lasting_refusal_is_as_with_one_address(code: NackCode) -> None:
    """Proves: who is refused for a lasting reason comes back at the longest delay and warns, and
    looks at the other addresses too: `full` may come from one that stands by."""
    world = network(9, A, B, nack_code=code, central="nacks go away")
    assert world.dials(Peer.CENTRAL) == pytest.approx([0, 2, 4, 6, 8])
    assert world.ways() == [A, B, A, B, A]
    assert sum("go away" in text for text in world.notes(Level.WARNING)) == 5


def test_an_older_connection_is_not_heard() -> None:
    """Proves: what comes of an address that was given up changes nothing."""
    world = network(2.5, A, B, centrals={A: "vanished", B: "acks"})
    closed = len(world.all(Close))
    world.happen(Lost(Peer.CENTRAL, 1, "no route to host"))
    assert world.monitor.report.registered
    assert len(world.all(Close)) == closed
    assert len(world.told(Register)) == 1


@pytest.mark.parametrize(
    ("addresses", "is_tls", "dial_s"),
    [((A,), False, 1.0), ((A, B), False, 2.0), ((A,), True, 6.0), ((A, B), True, 6.0)],
)
def test_a_dial_among_several_has_longer(
    addresses: tuple[str, ...], is_tls: bool, dial_s: float
) -> None:
    """Proves: one Central is given a second as ever; with TLS the handshake has its time."""
    assert several(*addresses, is_central_tls=is_tls).dial_s == dial_s
