"""Several Centrals on one database server, and monitors and programs that know all of them."""

from collections.abc import Callable, Sequence

from evd.core.central.events import Accepted, Asked, Refusal, Refused
from evd.core.central.rows import Meta, Request
from tests.sim.network import Network
from tests.sim.parts_central import CentralPart
from tests.sim.parts_driver import HttpClientPart, OpenRequest
from tests.sim.parts_member import MemberPart
from tests.sim.served import Served
from tests.sim.server import DbServer
from tests.sim.world import World

# The next address is tried so long after a refusal or `standing by`.
NEXT_S = 0.2


class _Called:
    """A Central as one call sees it: an answer that comes after the next call is not read."""

    def __init__(self, caller: "SeekerPart", central: CentralPart, number: int) -> None:
        self._caller = caller
        self._central = central
        self._number = number
        self.host = central.host

    def ask(
        self, make: Callable[[int], Asked], answered: Callable[[Accepted | Refused], None]
    ) -> None:
        """Take an HTTP call that changes something."""

        def hear(answer: Accepted | Refused) -> None:
            is_away = isinstance(answer, Refused) and answer.refusal is Refusal.UNAVAILABLE
            self._caller.heard(self, self._number, is_away, lambda: answered(answer))

        self._central.ask(make, hear)

    def look(self, request_id: str, answered: Callable[[int, Request | None], None]) -> None:
        """Answer GET /requests/{request_id}."""

        def hear(status: int, row: Request | None) -> None:
            tell = lambda: answered(status, row)  # noqa: E731
            self._caller.heard(self, self._number, status == 503, tell)

        self._central.look(request_id, hear)


class SeekerPart(HttpClientPart):
    """A program that knows all Centrals: the next one where a call was not answered, or by 503."""

    def __init__(self, world: World, name: str, host: str, centrals: Sequence[CentralPart]) -> None:
        super().__init__(world, name, host, centrals[0])
        self._addresses = centrals
        self._address = 0
        self._number = self._answered = 0

    def _call(
        self,
        say: Callable[[OpenRequest], None],
        request: OpenRequest,
        until_s: float | None = None,
    ) -> None:
        if until_s is None:
            if self._answered != self._number:
                self._address += 1
            self._number += 1
            self.central = self._addresses[self._address % len(self._addresses)]
            number, central = self._number, self.central

            def say_there(request: OpenRequest) -> None:
                if number != self._number:
                    # It was given up: a Central that hung finds the connection closed.
                    return
                self.central = _Called(self, central, number)  # type: ignore[assignment]
                say(request)
                self.central = central

            super()._call(say_there, request)
        else:
            super()._call(say, request, until_s)

    def heard(self, called: _Called, number: int, is_away: bool, tell: Callable[[], None]) -> None:
        """Take an answer, unless another call was made since."""
        if number != self._number:
            return
        if is_away and self.open is not None:
            self.open.last_s = self.world.t_s - self.REPEAT_S + NEXT_S
            return
        self._answered = number
        central, self.central = self.central, called  # type: ignore[assignment]
        tell()
        self.central = central


class SeveralNetwork(Network):
    """Every part of a run with several Centrals."""

    shown_after_s = 22.0

    def __init__(self, world: World) -> None:
        self._active: CentralPart | None = None
        # The identity and epoch of each time that a Central served.
        self._lives: set[tuple[str, int]] = set()
        super().__init__(world)
        self.served = Served(world, self)

    def _centrals(self) -> Sequence[CentralPart]:
        self.server = DbServer(self.world, self.store)
        self.members = [self._member(number) for number in range(1, self.world.mix.members + 1)]
        return self.members

    def _member(self, number: int) -> MemberPart:
        member = MemberPart(
            self.world, self.broker, f"Central{number}", f"host-c{number}", self.server
        )
        member.find_active = lambda: self.central
        member.on_serving = lambda: self._serves(member)
        member.on_loaded = lambda meta: self._lives_anew(member, meta)
        return member

    def _serves(self, member: MemberPart) -> None:
        self.served.begins()
        self.world.tell(member.name, "SERVES")

    def _lives_anew(self, member: MemberPart, meta: Meta) -> None:
        """Check that a takeover is a start: what was said to the one before counts no more."""
        life = meta.central_id, meta.epoch
        if life in self._lives:
            self.world.violate(9, f"{member.name} serves in epoch {meta.epoch}, as one did before")
        self._lives.add(life)

    @property
    def central(self) -> CentralPart:
        """The Central that serves, or the one that did last."""
        lock = self.server.lock
        # One may have been granted the lock long ago, and hear of it only now.
        if lock is not None and isinstance(lock.owner, MemberPart) and lock.owner.is_serving:
            self._active = lock.owner
        return self._active or self.centrals[0]

    def _caller(self) -> HttpClientPart:
        return SeekerPart(self.world, "driver-3", "host-d3", self.centrals)
