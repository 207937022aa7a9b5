"""The promises as they stand at the end of a run, when everything has come to rest."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING

from evd.core.central.ledger import session_id_for
from evd.core.central.requests import CANCELLED
from evd.core.central.rows import (
    Request,
    Session,
)
from evd.core.wire.messages import (
    RequestStatus,
    SessionRecord,
)
from evd.core.wire.units import bill_cents, mwh_from_kwh
from tests.sim.charges import Charge
from tests.sim.invariants import (
    ENERGY_SLACK_MWH,
    HARMLESS,
    NEVER_KNOWN,
    NO_COORDINATOR,
    STALE_S,
    Checker,
)
from tests.sim.parts_driver import Requester

if TYPE_CHECKING:
    from tests.sim.network import Network


# The time from reading a message to the commit of its changes.
COMMIT_S = 0.1
# A session's last reading may be one interval old when its engine dies, and a save takes a while.
METER_S = 1.0 + 0.6
# Faults that can harm nobody but their maker.
NOISE = HARMLESS - {"broker"} | {"twin", "second", "offsets", "liar"}


def _names(row: Session, cp_id: str) -> bool:
    """Whether the row says that this charging point delivered it."""
    return row.cp_id == cp_id or f"delivered by {cp_id}" in row.reason


class Verdict(Checker):
    """The checker, with what it says at the end."""

    def finish(self, network: "Network") -> None:
        """Check at the end of a run that every session and request is accounted for."""
        bills: Counter[str] = Counter()
        for session_id in list(self.charges):
            self._check_session(session_id)
        self._check_records(record for each in network.engines for record in each.disk.records())
        for row in self.store.data.sessions.values():
            self._check_bill(row)
            if row.cost_cents:
                bills[row.request_id] += 1
        for request_id, count in bills.items():
            if count > 1:
                self.world.violate(2, f"a request is billed {count} times", request_id)
        for request in self.store.data.requests.values():
            self._check_cancelled(request)
        for request_id, asker in self.askers.items():
            self._check_request(request_id, asker)
        if NOISE.issuperset(self.world.mix.kinds):
            self._check_unharmed()
        for request_id, cp_id in network.probes.items():
            told = self.told_finals.get(request_id)
            if told is None or told[1].status is not RequestStatus.COMPLETED:
                what = f"healed, at rest, and {cp_id} does not serve: {told and told[1]}"
                self.world.violate(7, what, request_id)
        if len(network.probes) < len(network.engines):
            self.world.violate(7, "healed, at rest, and a driver can't ask")

    def _check_unharmed(self) -> None:
        """Check that wrong clocks, bad messages and second processes have cost nobody anything."""
        for request_id, (_, update) in self.told_finals.items():
            if update.status is RequestStatus.FAILED and update.reason != CANCELLED:
                what = f"nobody failed, and FAILED is told: {update.reason}"
                self.world.violate(7, what, request_id)

    def _check_session(self, session_id: str) -> None:
        charges = self.charges[session_id]
        row = self.store.data.sessions.get(session_id)
        most = sum(charge.most_mwh() for charge in charges)
        all_wiped = all(charge.wiped for charge in charges)
        if row is None:
            if most and not (all_wiped and self.restored_s):
                self.world.violate(1, f"{most} mWh were delivered and have no row", session_id)
            elif most:
                self.world.allow("both disks that knew a session were lost")
            return
        if row.energy_mwh > most + ENERGY_SLACK_MWH:
            what = f"{row.energy_mwh} mWh are stored, {most} were delivered"
            self.world.violate(2, what, session_id)
        if any(charge.wiped for charge in charges):
            return
        if not row.settled:
            self.world.violate(1, "a session never got its engine's reading", session_id)
            return
        for charge in charges:
            if charge.gap_s > METER_S and not charge.is_excused:
                what = f"no reading was saved for {charge.gap_s:.1f} s"
                self.world.violate(1, what, session_id)
        least = min(charge.least_mwh() for charge in charges) - ENERGY_SLACK_MWH
        if row.energy_mwh < least:
            what = f"{row.energy_mwh} mWh are stored, at least {least} were delivered"
            self.world.violate(1, what, session_id)

    def _check_records(self, records: Iterable[SessionRecord]) -> None:
        """Check that Central has what the engines have on their disks."""
        found: dict[str, list[SessionRecord]] = defaultdict(list)
        for record in records:
            found[record.session_id].append(record)
        for session_id, same in found.items():
            row = self.store.data.sessions.get(session_id)
            told = None if row is None else (row.energy_mwh, row.status.value)
            kept = [(mwh_from_kwh(each.kwh), each.outcome.value) for each in same]
            if session_id in self._again:
                # Carried out twice: the first record that came is its row, wherever from; and it
                # may be the one whose disk was lost since.
                wiped = any(charge.wiped for charge in self.charges[session_id])
                is_told = told in kept or (wiped and row is not None and row.settled)
            else:
                is_told = [told] == kept and row is not None and _names(row, same[0].cp_id)
            if not is_told:
                what = f"engines keep {kept}, Central has {told}"
                self.world.violate(1, what, session_id, same[0].request_id)

    def _check_bill(self, row: Session) -> None:
        ids = row.session_id, row.request_id
        charges = self.charges.get(row.session_id, [])
        if not row.settled or not charges:
            if row.cost_cents:
                self.world.violate(2, "billed, and no car took anything", *ids)
            return
        rates = {bill_cents(row.energy_mwh, charge.run.euro_rate) for charge in charges}
        if row.billable and row.cost_cents not in rates:
            self.world.violate(2, f"the bill is {row.cost_cents} cents, and not {rates}", *ids)
        if not row.billable:
            self._check_stray(row, charges)
        if row.cost_cents and all(charge.late for charge in charges):
            told_s = self.told_finals[row.request_id][0]
            if charges[0].began_s - told_s <= STALE_S + 0.01:
                self.world.allow("a late start was billed: its record came before its CANCEL")
            else:
                self.world.violate(5, "a car that started after FAILED is billed", *ids)

    def _check_stray(self, row: Session, charges: Iterable[Charge]) -> None:
        ids = row.session_id, row.request_id
        if row.cost_cents:
            self.world.violate(2, "a stray session is billed", *ids)
        given_up = self.cancel_read_s.keys() | self.end_asked | self.forgotten
        request = self.store.data.requests.get(row.request_id)
        if request is not None and request.reason == CANCELLED:
            # Stored by a Central that died before we saw that it had read it.
            return
        if row.request_id in given_up or all(charge.late for charge in charges):
            return
        if row.request_id in self._ended_unheard and self.restored_s:
            self.world.allow("out of reach past the bound, and its session was lost meanwhile")
        else:
            self.world.violate(1, "its driver had not given up, and it is not billed", *ids)

    def _check_request(self, request_id: str, asker: Requester) -> None:
        row = self.store.data.requests.get(request_id)
        if request_id in self.forgotten:
            return
        told = self.told_finals.get(request_id)
        if told is None:
            what = f"{asker.name} was never told how it ended"
            self.world.violate(4, what, request_id)
            return
        update = told[1]
        if update.reason == NO_COORDINATOR or (update.reason == NEVER_KNOWN and row is None):
            self._check_given_up(request_id, row)
            return
        if row is None or row.status is not update.status:
            if not self.restored_s:
                what = f"its driver was told {update.status}, Central stores {row and row.status}"
                self.world.violate(4, what, request_id)
            return
        if (row.kwh, row.euros) != (update.kwh, update.euros) and not self.restored_s:
            self.world.violate(4, "driver and Central have different totals", request_id)
        self._check_told_bill(row)

    def _check_cancelled(self, row: Request) -> None:
        session = self.store.data.sessions.get(session_id_for(row.request_id))
        is_cancelled = row.status is RequestStatus.FAILED and row.reason == CANCELLED
        if is_cancelled and session is not None and session.cost_cents and not self.restored_s:
            self.world.violate(2, "cancelled, and billed", row.request_id, session.session_id)

    def _check_given_up(self, request_id: str, row: Request | None) -> None:
        known = self.told_finals[request_id][1].reason == NEVER_KNOWN
        if row is None and not self.restored_s and not known:
            self.world.violate(4, "given up, and Central never heard of it", request_id)
        elif row is not None and row.status is RequestStatus.COMPLETED:
            read_s = self.cancel_read_s.get(request_id)
            if read_s is None or self._final_s[request_id] <= read_s + COMMIT_S:
                self.world.allow("given up, and its session had ended before its CANCEL was read")
            else:
                self.world.violate(4, "cancelled, and COMPLETED after that", request_id)

    def _check_told_bill(self, row: Request) -> None:
        session = self.store.data.sessions.get(session_id_for(row.request_id))
        billed = session is not None and session.cost_cents
        if row.status is RequestStatus.DENIED and billed and not self.restored_s:
            self.world.violate(4, "DENIED was told, and is billed", row.request_id)
        if row.status is RequestStatus.COMPLETED and (session is None or not session.billable):
            self.world.violate(4, "COMPLETED was told, and is not billed", row.request_id)
