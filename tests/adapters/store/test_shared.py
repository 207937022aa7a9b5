"""Several Centrals on one PostgreSQL database: the lock, who knows of whom, and the fence."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from psycopg import Connection

from evd.adapters.store import StoreFailed, is_shared
from evd.adapters.store.epoch_file import EpochFile, Progress
from evd.adapters.store.lock_session import IDLE_S, Found
from evd.adapters.store.shared import SharedDatabase, open_shared
from evd.core.standby.events import Try
from tests.adapters.store.databases import connect, cut_connections, new_postgres_url, url_of
from tests.adapters.store.rows import a_charging_point

pytestmark = pytest.mark.postgres

Open = Callable[[str], AbstractAsyncContextManager[SharedDatabase]]
TRY_S = 0.1
FREE_S_MAX = 20.0


@pytest.fixture
def db_url(postgres: Path) -> str:
    """A new empty database."""
    return new_postgres_url(postgres)


@pytest.fixture
def central(db_url: str, tmp_path: Path) -> Open:
    """A Central of this name opens the database, with a state directory of its own."""

    @asynccontextmanager
    async def opened(name: str) -> AsyncIterator[SharedDatabase]:
        state_dir = tmp_path / name
        state_dir.mkdir(exist_ok=True)
        async with open_shared(db_url, state_dir, name, f"{name}:8000") as shared:
            yield shared

    return opened


async def attempt(shared: SharedDatabase, *, monitors: int = 0, ends_silent: bool = False) -> Found:
    """Try once."""
    return await shared.attempt(Try(True, monitors, ends_silent))


async def take(shared: SharedDatabase) -> Found:
    """Try until the lock is had."""
    with trio.fail_after(FREE_S_MAX):
        while not (found := await attempt(shared)).is_granted:
            await trio.sleep(TRY_S)
    return found


def test_only_postgresql_is_shared(db_url: str, tmp_path: Path) -> None:
    """Proves: with SQLite a second Central ends, as before."""
    assert is_shared(db_url)
    assert not is_shared(url_of(tmp_path / "central.db"))


async def test_one_has_the_lock_and_the_others_know_of_each_other(central: Open) -> None:
    """Proves: a new database is made by the first; each sees who serves, and that it does so."""
    async with central("a") as a, central("b") as b:
        first = await attempt(a)
        assert (first.is_granted, first.is_released) == (True, True)
        async with a.store() as store:
            await store.begin_epoch()
            second = await attempt(b, monitors=3)
            assert (second.is_granted, second.is_released) == (False, False)
            assert second.holder == "a:8000"
            (other,) = await a.renew()
            assert (other.name, other.address) == ("b", "b:8000")
            assert (other.kafka_up, other.monitors) == (True, 3)
            assert other.is_there and not other.is_resting
            third = await attempt(b)
            assert third.pulse != second.pulse
            await store.commit([a_charging_point("CP-1")])
            assert (await attempt(b)).pulse != third.pulse


async def test_a_process_that_ends_frees_the_lock(central: Open) -> None:
    """Proves: the next one has it at once, reads what was stored, and is told to wait."""
    async with central("b") as b:
        async with central("a") as a:
            await take(a)
            async with a.store() as store:
                await store.commit([a_charging_point("CP-1")])
                assert not (await attempt(b)).is_granted
        found = await take(b)
        assert not found.is_released
        async with b.store() as store:
            image = await store.load()
            assert [row.cp_id for row in image.charging_points] == ["CP-1"]


async def test_one_that_hands_over_leaves_the_lock_to_the_other(central: Open) -> None:
    """Proves: the next one need not wait; who handed over takes nothing while the other could, and
    takes it back where the other has gone."""
    async with central("a") as a:
        async with central("b") as b:
            await take(a)
            assert not (await attempt(b)).is_granted
            await a.release(is_clean=True)
            assert not (await attempt(a)).is_granted
            found = await take(b)
            assert found.is_released
            assert not (await attempt(a)).is_granted
        assert (await take(a)).is_granted


async def test_a_release_that_was_not_clean_is_told(central: Open) -> None:
    """Proves: where something may still be sent, the next one waits."""
    async with central("a") as a, central("b") as b:
        await take(a)
        await attempt(b)
        await a.release(is_clean=False)
        assert not (await take(b)).is_released


async def test_a_session_that_says_nothing_loses_the_lock(central: Open) -> None:
    """Proves: a hung Central is no hindrance for ever, and what it writes when it wakes is not
    stored."""
    async with central("a") as a, central("b") as b:
        await take(a)
        async with a.store() as store:
            began_s = trio.current_time()
            while not (await attempt(b)).is_granted:
                assert trio.current_time() - began_s < FREE_S_MAX
                await trio.sleep(TRY_S)
            assert trio.current_time() - began_s > IDLE_S - 1
            with pytest.raises(StoreFailed):
                await store.commit([a_charging_point("CP-late")])
            with pytest.raises(StoreFailed):
                await a.renew()
        async with b.store() as store:
            assert not (await store.load()).charging_points


async def test_a_session_cut_off_before_it_is_served_from_is_a_failure(
    central: Open, postgres: Path, db_url: str
) -> None:
    """Proves: a server that is restarted between the grant and the load is told as a failing
    database, which a Central survives."""
    async with central("a") as a:
        assert (await attempt(a)).is_granted
        cut_connections(postgres, db_url)
        with pytest.raises(StoreFailed):
            async with a.store():
                pass


async def test_nobody_stands_by_for_itself(central: Open) -> None:
    """Proves: a Central that is back while the server still keeps the lock of its last session
    names no holder."""
    async with central("a") as before, central("a") as again, central("b") as other:
        await attempt(before)
        assert (await attempt(again)).holder == ""
        assert (await attempt(other)).holder == "a:8000"


async def test_half_a_statement_keeps_no_lock_for_ever(central: Open) -> None:
    """Proves: a Central that falls silent in the middle of what it sends, which the server waits
    for without end, loses its session by one that finds its pulse unmoved; one that only rests
    between two statements does not."""
    async with central("a") as a, central("b") as b:
        await take(a)
        await attempt(b, ends_silent=True)
        await a.renew()
        raw = cast(Connection[Any], a._session.connection).pgconn
        raw.enter_pipeline_mode()
        raw.send_query_params(b"SELECT 1", None)
        raw.send_flush_request()
        raw.flush()
        end_s = trio.current_time() + IDLE_S + 1.0
        while trio.current_time() < end_s:
            assert not (await attempt(b)).is_granted
            await trio.sleep(TRY_S)
        await attempt(b, ends_silent=True)
        await take(b)


async def test_a_commit_never_opens_a_session_of_its_own(
    central: Open, postgres: Path, db_url: str
) -> None:
    """Proves: a connection that was cut off is not opened again, be the lock free or not."""
    async with central("a") as a:
        await take(a)
        async with a.store() as store:
            cut_connections(postgres, db_url)
            for _ in range(2):
                with pytest.raises(StoreFailed):
                    await store.commit([a_charging_point("CP-1")])


async def test_a_standby_keeps_up_with_the_one_that_serves(central: Open, tmp_path: Path) -> None:
    """Proves: a copy that was put back is known as one by a Central that never served before."""
    async with central("a") as a, central("b") as b:
        await take(a)
        async with a.store() as store:
            for number in range(3):
                await attempt(b)
                await store.commit([a_charging_point(f"CP-{number}")])
            await attempt(b)
    of_a, of_b = EpochFile(tmp_path / "a").read(), EpochFile(tmp_path / "b").read()
    assert of_a is not None
    assert of_a == of_b


async def put_back(a: SharedDatabase, postgres: Path, db_url: str) -> None:
    """Serve with `a` for five commits; the database then lacks the newest two of them."""
    await take(a)
    async with a.store() as store:
        for number in range(5):
            await store.commit([a_charging_point(f"CP-{number}")])
    name = db_url.partition("?")[0].rpartition("/")[2]
    with connect(postgres, name) as operator:
        operator.execute("UPDATE meta SET commits = commits - 2")


async def test_a_copy_that_was_put_back_is_known_by_who_served_it(
    central: Open, postgres: Path, db_url: str, tmp_path: Path
) -> None:
    """Proves: the Central that served a database becomes another one where an older copy is in its
    place; those that stand by follow it, and it is no copy to them."""
    async with central("a") as a:
        await put_back(a, postgres, db_url)
    before = EpochFile(tmp_path / "a").read()
    async with central("a") as a, central("b") as b:
        await take(a)
        async with a.store() as store:
            await attempt(b)
            await store.commit([a_charging_point("CP-9")])
            await attempt(b)
    of_a, of_b = EpochFile(tmp_path / "a").read(), EpochFile(tmp_path / "b").read()
    assert before is not None and of_a is not None
    assert of_a == of_b
    assert of_a.central_id != before.central_id


async def test_a_copy_that_is_served_unknown_is_not_forgotten(
    central: Open, postgres: Path, db_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Proves: a Central that was away for long does not know an older copy for what it is; one that
    knows more and stands by says so, keeps what it knows, and becomes another one when it serves,
    also after a restart."""
    async with central("a") as a:
        await put_back(a, postgres, db_url)
    known = EpochFile(tmp_path / "a").read()
    assert known is not None
    async with central("b") as b, central("a") as a:
        await take(b)
        async with b.store() as store:
            assert (await store.load()).meta.central_id == known.central_id
            # By then the copy has more commits than were known.
            for number in range(5):
                await attempt(a)
                await store.commit([a_charging_point(f"CP-{number}")])
    kept = EpochFile(tmp_path / "a").read()
    assert kept is not None and kept.central_id == known.central_id
    assert "is an older copy" in caplog.text
    async with central("a") as a:
        await take(a)
        async with a.store() as store:
            assert (await store.load()).meta.central_id != known.central_id


async def test_a_file_of_another_database_follows(central: Open, tmp_path: Path) -> None:
    """Proves: a host that had a database of its own before takes up the shared one as a standby,
    and is no other Central when it serves."""
    (tmp_path / "b").mkdir()
    strange = EpochFile(tmp_path / "b")
    strange.note(Progress("central-of-before", 9, 9_000))
    strange.close()
    async with central("b") as b:
        async with central("a") as a:
            await take(a)
            async with a.store() as store:
                central_id = (await store.load()).meta.central_id
                await attempt(b)
                await store.commit([a_charging_point("CP-1")])
                await attempt(b)
        await take(b)
        async with b.store() as store:
            assert (await store.load()).meta.central_id == central_id
