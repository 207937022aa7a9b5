"""The feed where it is asked who follows: by which secret, for how long, and told what."""

import contextlib
from collections.abc import AsyncIterator

import attrs
import pytest
import trio
from trio_websocket import ConnectionClosed

from evd.adapters.http.access.forwarded import Proxies
from evd.adapters.http.access.gate import HttpGate
from evd.adapters.http.access.logins import Logins
from evd.adapters.http.access.passes import Pass
from evd.adapters.http.access.rates import UNBOUNDED, Rates
from evd.core.access.roles import Auth, Caller, Right, Role
from evd.core.access.tokens import RANDOM_BYTES, digest, new_token
from evd.daemons.clock import now
from tests.adapters.feed.scene import Scene, event, feed, network, read, update
from tests.adapters.http.fake_central import SUPPLYING, FakeCentral, logins_of

# A login that ended is noticed within this.
CUT_S_MAX = 2.0


@attrs.define
class Asked:
    """A feed that asks who follows."""

    central: FakeCentral
    logins: Logins
    feed: Scene

    def token_of(self, role: Role, driver_id: str | None = None) -> str:
        """A new token of this role, whose name is the role's."""
        token = new_token(role, (driver_id or role).encode().ljust(RANDOM_BYTES, b"0"))
        name = driver_id or role
        self.central.access.add_token(name, role, digest(token), driver_id, 90, now())
        return token

    def ticket_of(self, token: str) -> str:
        """A ticket that its holder has asked for."""
        caller = self.central.access.caller_of_digest(digest(token), "127.0.0.1", now())
        return self.logins.ticket(Pass(caller, address="127.0.0.1"))[0]


@contextlib.asynccontextmanager
async def asked(auth: Auth = Auth.REQUIRED) -> AsyncIterator[Asked]:
    """A feed with one supplying charging point, behind its gate."""
    central = FakeCentral()
    logins = logins_of(central, auth)
    proxies = Proxies(strict=auth is not Auth.REQUIRED)
    rates, count = Rates(UNBOUNDED, trio.current_time), logins.on_stranger("feed")
    gate = HttpGate(auth, logins.callers.of_feed, rates, proxies, count, right=Right.SEE)
    async with feed(SUPPLYING, gate=gate, is_still=logins.callers.is_still) as scene:
        yield Asked(central, logins, scene)


async def test_a_stranger_follows_nothing() -> None:
    """Proves: without a token or with a wrong one nobody follows, a monitor neither, and a cookie
    counts for nothing: a browser would send it for any site."""
    async with asked() as door:
        token = door.token_of(Role.ADMIN)
        for headers in (
            {},
            {"Authorization": "Bearer evd_admin_" + "A" * 43},
            {"Cookie": f"evd_session={token}"},
        ):
            assert (await door.feed.refusal(**headers))["status"] == 401
        assert (await door.feed.refusal(path="/nothing"))["status"] == 401
        good = {"Authorization": f"Bearer {token}"}
        assert (await door.feed.refusal(path="/nothing", **good))["status"] == 404


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
async def test_a_token_may_follow(role: Role) -> None:
    """Proves: every role that sees the network is told all of it."""
    async with asked() as door, door.feed.client(token=door.token_of(role)) as client:
        snapshot = await read(client)
        assert snapshot["charging_points"][0]["current_driver"] == "driver-alice"
        assert "network" in snapshot


async def test_a_ticket_lets_one_in() -> None:
    """Proves: a ticket is good once, and only while its holder is."""
    async with asked() as door:
        token = door.token_of(Role.VIEWER)
        query = f"?ticket={door.ticket_of(token)}&cp_id=CP-001"
        async with door.feed.client(query) as client:
            assert len((await read(client))["charging_points"]) == 1
        assert (await door.feed.refusal(query))["status"] == 401
        late = door.ticket_of(token)
        door.central.access.revoke_token(Role.VIEWER, now())
        assert (await door.feed.refusal(f"?ticket={late}"))["status"] == 401


async def test_whose_token_ends_is_cut() -> None:
    """Proves: a feed whose token or login ends is closed with 1008 in time, and others go on."""
    async with asked() as door:
        token = door.token_of(Role.VIEWER)
        async with (
            door.feed.client(token=token) as first,
            door.feed.client(f"?ticket={door.ticket_of(token)}") as second,
            door.feed.client(token=door.token_of(Role.ADMIN)) as other,
        ):
            for client in (first, second, other):
                await read(client)
            door.central.access.revoke_token(Role.VIEWER, now())
            for client in (first, second):
                with trio.fail_after(CUT_S_MAX), pytest.raises(ConnectionClosed) as closed:
                    await client.get_message()
                assert closed.value.reason is not None
                assert closed.value.reason.code == 1008
            await door.feed.publisher.publish(update(active_requests=5))
            assert (await read(other))["active_requests"] == 5


async def test_a_driver_is_told_its_own_alone() -> None:
    """Proves: the feed shows a driver its own session, and of others neither name, session, meter
    nor event; each of their changes is told all the same."""
    async with asked() as door:
        tokens = [door.token_of(Role.DRIVER, f"driver-{each}") for each in ("alice", "bob")]
        async with (
            door.feed.client(token=tokens[0]) as alice,
            door.feed.client(token=tokens[1]) as bob,
        ):
            own, other = await read(alice), await read(bob)
            assert own["charging_points"][0]["telemetry"]["kw"] == 22.0
            for point in (other["charging_points"][0],):
                assert point["current_driver"] is point["current_session"] is None
                assert point["telemetry"] is None
            assert "network" not in other
            grown = attrs.evolve(SUPPLYING, stopped=True)
            news = update(grown, events=[event("CP-001", "driver-alice")], whole=network(kw=1.0))
            await door.feed.publisher.publish(news)
            own, other = await read(alice), await read(bob)
            assert own["charging_points"][0]["current_session"] == "session-1"
            assert other["charging_points"][0]["stopped"] is True
            assert "driver-alice" not in str(other)
            assert "session-1" not in str(other)
            assert own["events"] == other["events"] == []


async def test_warn_lets_strangers_follow_and_counts_them() -> None:
    """Proves: with --auth warn and off nobody is turned away; warn counts those whom `required`
    refuses, and a ticket is taken by both."""
    for auth, count in ((Auth.WARN, ["feed", "feed"]), (Auth.OFF, [])):
        async with asked(auth) as door:
            for query in ("", "?ticket=unknown"):
                async with door.feed.client(query) as client:
                    assert "network" in await read(client)
            assert door.central.would_refuse == count


async def test_the_local_user_has_tickets_too() -> None:
    """Proves: a ticket that was made over the admin socket is good, and stays so."""
    async with asked() as door:
        local = Pass(Caller("local:root", Role.ADMIN), is_local=True)
        ticket, _ = door.logins.ticket(local)
        async with door.feed.client(f"?ticket={ticket}") as client:
            await read(client)
            with trio.move_on_after(1.0) as waiting:
                await client.get_message()
            assert waiting.cancelled_caught
            await door.feed.publisher.publish(update(active_requests=7))
            await read(client)
