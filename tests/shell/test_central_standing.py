"""One of several Centrals, over a database that a test plays: when it serves, and what it says."""

import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from trio.testing import MockClock

from evd.adapters.store import StoreFailed, StoreRefused
from evd.adapters.store.lock_session import Found
from evd.core.effects import Level
from evd.core.standby.events import End, Standby, Try
from evd.core.standby.lease import LEASE_S, MARGIN_S, TICK_S, TRY_S
from evd.daemons.central.standing import ANSWERED_S, LEAVE_S, UNANSWERED_S, Alone, Member
from evd.flags import ConfigError
from tests.shell.alone import ALONE

HOLDER = "a:8000"
OTHER = Standby("b", "b:8000", True, 0, 0.1)


@attrs.define
class Database:
    """The SharedDatabase of the tests.

    `is_free`: the lock may be taken.  `is_released`: the one before wrote that it had stopped.
    `answers_after_s` is how long each question takes; `failure` is raised instead of an answer.
    """

    is_free: bool = False
    is_released: bool = False
    holder: str = HOLDER
    standbys: tuple[Standby, ...] = ()
    answers_after_s: float = 0.0
    failure: Exception | None = None
    asked: list[str] = attrs.field(factory=list)
    beats: int = 0

    async def attempt(self, wanted: Try) -> Found:
        await self._answer(f"attempt {wanted.kafka_up} {wanted.monitors}")
        if not self.is_free:
            # Somebody serves: the database goes on.
            self.beats += 1
        return Found(self.is_free, (1, 1, self.beats), self.is_released, self.holder)

    async def renew(self) -> tuple[Standby, ...]:
        await self._answer("renew")
        return self.standbys

    async def release(self, *, is_clean: bool) -> None:
        await self._answer(f"release {is_clean}")

    @asynccontextmanager
    async def store(self) -> AsyncIterator[str]:
        self.asked.append("store")
        yield "the store"

    async def _answer(self, question: str) -> None:
        self.asked.append(question)
        await trio.sleep(self.answers_after_s)
        if self.failure is not None:
            raise self.failure


class Scene:
    """A Member that runs, and its end."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.kafka_up = True
        self.is_sent = True
        shared: Any = database
        self.member = Member(shared, lambda: self.kafka_up, self._sent)
        self.ended: End | None = None

    async def _sent(self) -> bool:
        await trio.lowlevel.checkpoint()
        return self.is_sent

    async def run(self) -> None:
        """Run it to its end."""
        self.ended = await self.member.run()

    async def serve(self) -> None:
        """Let it take the lock, and wait until it serves and has asked once."""
        self.database.is_free = self.database.is_released = True
        async with self.member.open_store():
            await trio.testing.wait_all_tasks_blocked()
        assert self.member.may_speak()


@asynccontextmanager
async def running(database: Database | None = None) -> AsyncIterator[Scene]:
    """A Member that runs for the length of the block."""
    scene = Scene(database or Database())
    async with trio.open_nursery() as nursery:
        nursery.start_soon(scene.run)
        yield scene
        nursery.cancel_scope.cancel()


async def test_it_stands_by_for_the_one_that_serves(autojump_clock: MockClock) -> None:
    """Proves: while another one has the lock it says who, writes how it is twice a second, and may
    say nothing."""
    async with running() as scene:
        member = scene.member
        assert await member.waits()
        assert member.stands_by
        assert member.why_silent() == "standing by for a:8000"
        assert not member.may_speak()
        assert member.standbys is None
        member.watch(lambda: 7)
        scene.kafka_up = False
        before = len(scene.database.asked)
        member.on_dialled("CP-1")
        await trio.sleep(4 * TRY_S)
        told = scene.database.asked[before:]
        assert 3 <= len(told) <= 5
        assert set(told) == {"attempt False 1"}


async def test_the_log_says_for_whom_it_stands_by(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: whoever reads the log of a standby finds who serves, once for each that does."""
    caplog.set_level(logging.INFO)
    async with running() as scene:
        await trio.sleep(10 * TRY_S)
        scene.database.holder = "c:8000"
        await trio.sleep(10 * TRY_S)
    told = [each.message for each in caplog.records if "Stands by" in each.message]
    assert told == ["Stands by for a:8000", "Stands by for c:8000"]


async def test_a_database_that_fails_makes_no_standby(autojump_clock: MockClock) -> None:
    """Proves: a Central whose database fails, or says nothing, is not one that stands by, since it
    could not take over; it is one again when the database answers."""
    database = Database(failure=StoreFailed("no route to host"))
    async with running(database) as scene:
        member = scene.member
        assert await member.waits()
        shown = (member.stands_by, member.why_silent())
        assert shown == (False, "the database fails: no route to host")
        database.failure = None
        await trio.sleep(2 * TRY_S)
        shown = (member.stands_by, member.why_silent())
        assert shown == (True, "standing by for a:8000")
        database.answers_after_s = math.inf
        await trio.sleep(UNANSWERED_S + 2 * TRY_S)
        shown = (member.stands_by, member.why_silent())
        assert shown == (False, "the database does not answer")


async def test_tables_of_a_newer_release_end_it(autojump_clock: MockClock) -> None:
    """Proves: where only an operator can help, its program ends with one sentence."""
    with pytest.raises(ExceptionGroup) as caught:
        async with running(Database(failure=StoreRefused("--db-url: newer tables"))):
            await trio.sleep_forever()
    assert caught.group_contains(ConfigError, match="--db-url: newer tables")


async def test_it_waits_out_the_lease_of_the_one_before(autojump_clock: MockClock) -> None:
    """Proves: with the lock in hand it says that it takes over, and serves when the one before can
    believe in its lease no more."""
    async with running() as scene:
        member = scene.member
        await member.waits()
        scene.database.is_free = True
        began_s = trio.current_time()
        await trio.sleep(2 * TRY_S)
        assert member.why_silent() == "taking over from a:8000"
        assert not member.stands_by
        async with member.open_store():
            waited_s = trio.current_time() - began_s
        # The last that was seen of the other one was up to a try earlier.
        assert LEASE_S + MARGIN_S - TRY_S <= waited_s <= LEASE_S + MARGIN_S + TRY_S
        await trio.sleep(0.1)
        assert member.why_silent() == ""


async def test_it_is_silent_while_the_database_is(autojump_clock: MockClock) -> None:
    """Proves: a question that is not answered within the lease silences it, and is no reason to be
    taken for a standby; with the next answer it goes on."""
    async with running() as scene:
        member = scene.member
        await scene.serve()
        scene.database.answers_after_s = LEASE_S + 1.0
        await trio.sleep(LEASE_S + 0.9)
        assert not member.may_speak()
        assert member.why_silent() == "the database does not answer: another Central may serve"
        assert not member.stands_by
        assert member.standbys is None
        scene.database.answers_after_s = 0.0
        with trio.fail_after(LEASE_S):
            await member.hold()
        assert member.why_silent() == ""


async def test_a_session_that_is_lost_ends_it(autojump_clock: MockClock) -> None:
    """Proves: with its session it loses the lock, and says why it ends; a commit that failed does
    the same at once."""
    async with running() as scene:
        await scene.serve()
        scene.database.failure = StoreFailed("terminated")
        await trio.sleep(1.5)
        assert scene.ended == End("the database fails: terminated")
    async with running() as scene:
        await scene.serve()
        scene.member.on_failed("the database fails: full")
        await trio.testing.wait_all_tasks_blocked()
        assert scene.ended == End("the database fails: full")


async def test_a_switch_by_hand(autojump_clock: MockClock) -> None:
    """Proves: nobody to switch to is a refusal; else whoever asks is answered first, then all
    comes to rest, and the release says whether something may still be sent."""
    async with running() as scene:
        member, database = scene.member, scene.database
        await member.waits()
        assert member.hand_over() == "this Central does not serve now"
        await scene.serve()
        assert member.hand_over() == "no other Central stands by"
        database.standbys = (OTHER,)
        await trio.sleep(1.5)
        assert member.standbys == (OTHER,)
        await trio.sleep(TICK_S / 2)
        assert member.hand_over() == ""
        assert member.hand_over() == ""
        await trio.sleep(ANSWERED_S - 0.01)
        member.on_rest()
        assert member.may_speak()
        await trio.sleep(ANSWERED_S + 0.3)
        assert member.may_speak()
        scene.is_sent = False
        member.on_rest()
        assert not member.may_speak()
        assert member.why_silent() == "handing over to another Central"
        await trio.testing.wait_all_tasks_blocked()
        assert database.asked[-1] == "release False"
        assert scene.ended == End("handed over", Level.INFO)


async def test_a_stop_gives_the_lock_back(autojump_clock: MockClock) -> None:
    """Proves: a Central that ends lets the next one begin at once; one that stands by has nothing
    to give back, and a database that hangs holds no stop up."""
    async with running() as scene:
        await scene.member.waits()
        await scene.member.leave()
        assert not any("release" in each for each in scene.database.asked)
    async with running() as scene:
        await scene.serve()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scene.member.leave)
            await trio.testing.wait_all_tasks_blocked()
            scene.member.on_rest()
        assert scene.database.asked[-1] == "release True"
    async with running() as scene:
        await scene.serve()
        began_s = trio.current_time()
        await scene.member.leave()
        assert trio.current_time() - began_s <= LEAVE_S


async def test_one_that_is_alone_is_asked_nothing(autojump_clock: MockClock) -> None:
    """Proves: with a database of its own it may always speak, stands by for nobody, knows of no
    others, and can't hand over."""
    alone: Alone = ALONE
    assert not await alone.waits()
    assert alone.may_speak()
    assert (alone.why_silent(), alone.stands_by, alone.standbys) == ("", False, None)
    assert "SQLite" in alone.hand_over()
