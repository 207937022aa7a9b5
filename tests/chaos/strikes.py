"""Faults carried out: each in a thread of its own, which also undoes it."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

from evd.adapters.http.central_client import CentralAway, CentralRefused
from evd.adapters.supervisor.protocol import SupervisorFailed
from evd.cli.errors import ToolFailed
from tests.chaos.network import ChaosNetwork, signalled
from tests.chaos.plan import CP_IDS, Fault, Kind
from tests.network.processes import Relay

THREADS_MAX = 64
# To remove a charging point takes the tool at most so long, and it waits its turn.
UNDONE_S_MAX = 120.0
RETRY_S = 0.5


class NotThere(Exception):
    """A fault had nothing to strike at its time."""


# A fault that meets none whom it could hit, or a Central or supervisor that is down, is left out.
LEFT_OUT = (NotThere, SupervisorFailed, ToolFailed, CentralAway, CentralRefused)


class Storm:
    """The faults of a plan, each at its time; `say` gets a line about each."""

    def __init__(self, network: ChaosNetwork, say: Callable[[str], None]) -> None:
        self.network = network
        self.struck: Counter[Kind] = Counter()
        self._say = say
        self._peace = threading.Event()
        self._began_s = time.monotonic()
        self._carry_out = {
            Kind.KILLED: self._kill,
            Kind.TOGETHER: self._kill,
            Kind.HELD: self._hold,
            Kind.HUNG: self._hang,
            Kind.CUT: self._cut,
            Kind.STOPPED: self._stop,
            Kind.ENDED: self._end,
            Kind.LEFT: self._leave,
            Kind.DB_CUT: self._cut_database,
            Kind.SWITCHED: self._switch,
            Kind.DB_RESTARTED: self._restart_database,
        }

    def rage(self, faults: Sequence[Fault], look: Callable[[], None]) -> None:
        """Strike until the last fault is undone; `look` is called between the strikes."""
        self._began_s = time.monotonic()
        with ThreadPoolExecutor(THREADS_MAX) as pool:
            futures: list[Future[None]] = []
            try:
                for fault in faults:
                    time.sleep(max(0.0, self._began_s + fault.at_s - time.monotonic()))
                    futures.append(pool.submit(self._strike, fault))
                    look()
            finally:
                self._peace.set()
            wait(futures, UNDONE_S_MAX)
            for future in futures:
                future.result(0)

    def _strike(self, fault: Fault) -> None:
        try:
            self._carry_out[fault.kind](fault)
        except LEFT_OUT as error:
            self._tell(f"{fault}: left out: {error}")

    def _tell(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began_s:7.2f} s  {text}")

    def _happened(self, fault: Fault, lasts_s: float = 0.0) -> None:
        self.struck[fault.kind] += 1
        self._tell(str(fault))
        self._peace.wait(lasts_s)

    def _kill(self, fault: Fault) -> None:
        killed = 0
        for name in fault.targets:
            try:
                self.network.supervisord.kill(name)
                killed += 1
            except SupervisorFailed as error:
                self._tell(f"{fault}: {error}")
        if not killed:
            raise NotThere("nothing of it runs")
        self._happened(fault)

    def _hold(self, fault: Fault) -> None:
        (name,) = fault.targets
        try:
            self.network.hold(name)
            self._happened(fault, fault.lasts_s)
        finally:
            self.network.supervisord.start([name])

    def _hang(self, fault: Fault) -> None:
        (name,) = fault.targets
        pid = self.network.freeze(name)
        if pid is None:
            raise NotThere("it does not run")
        self._happened(fault, fault.lasts_s)
        signalled(pid, signal.SIGCONT)

    def _cut(self, fault: Fault) -> None:
        self._freeze(fault, self.network.relays[fault.targets[0]])

    def _cut_database(self, fault: Fault) -> None:
        self._freeze(fault, [self.network.centrals.relay_to_database(fault.targets[0])])

    def _freeze(self, fault: Fault, relays: Sequence[Relay]) -> None:
        for relay in relays:
            relay.freeze()
        self._happened(fault, fault.lasts_s)
        for relay in relays:
            relay.thaw()

    def _switch(self, fault: Fault) -> None:
        end_s = time.monotonic() + fault.lasts_s
        while True:
            try:
                self.network.central.hand_over()
                break
            except (CentralAway, CentralRefused):
                # Nobody stands by, or serves: perhaps soon.
                if time.monotonic() > end_s or self._peace.is_set():
                    raise
            time.sleep(RETRY_S)
        self._happened(fault)

    def _restart_database(self, fault: Fault) -> None:
        server = self.network.centrals.server
        if server is None:
            raise NotThere("each has a file of its own")
        # As in a crash, or at once as an upgrade does it.
        server.stop(signal.SIGQUIT if fault.number % 2 else signal.SIGINT)
        server.start()
        self._happened(fault)

    def _stop(self, fault: Fault) -> None:
        (cp_id,) = fault.targets
        try:
            self.network.central.stop_cp(cp_id)
            self._happened(fault, fault.lasts_s)
        finally:
            # An answer that never came does not say that nothing was done.
            self._resume(cp_id)

    def _resume(self, cp_id: str) -> None:
        end_s = time.monotonic() + UNDONE_S_MAX
        while True:
            try:
                self.network.central.resume_cp(cp_id)
                return
            except (CentralAway, CentralRefused) as error:
                unknown = isinstance(error, CentralRefused) and error.status == 404
                if unknown or time.monotonic() > end_s:
                    self._tell(f"{cp_id} was not resumed: {error}")
                    return
            time.sleep(RETRY_S)

    def _end(self, fault: Fault) -> None:
        if not self.network.end_session(fault.targets[0]):
            raise NotThere("no session runs there")
        self._happened(fault)

    def _leave(self, fault: Fault) -> None:
        (who,) = fault.targets
        try:
            self.network.leave(who)
            self._happened(fault, fault.lasts_s)
            self.network.join(who)
        finally:
            # To make a charging point ready to go it was stopped.
            if who in CP_IDS:
                self._resume(who)
