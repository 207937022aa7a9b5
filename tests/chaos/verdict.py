"""The count of the damage, by what it would cost, with a sentence for each case."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import attrs

from tests.network import checker
from tests.network.checker import Facts, Promise, Row

# A driver's echo of a beacon is good for 5 s, and a START for 5 s more.
STALE_START: Final = timedelta(seconds=10)


@attrs.frozen
class Verdict:
    """A sentence for each case; none at all is how it should be."""

    lost: Sequence[str]
    billed_twice: Sequence[str]
    wrong_totals: Sequence[str]
    no_final: Sequence[str]
    # The other promises: one session at a time, one status, nothing stale, no crash.
    others: Sequence[str]

    @property
    def cases(self) -> list[str]:
        """The sentences of every kind, the costliest first."""
        groups = (self.lost, self.billed_twice, self.wrong_totals, self.no_final, self.others)
        return [case for group in groups for case in group]


class BillWatch:
    """Remembers each settled session as it was first seen: a bill that changes is a second one."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self._settled: dict[str, tuple[object, ...]] = {}

    def look(self, sessions: Iterable[Row]) -> None:
        for row in sessions:
            if not row["settled"]:
                continue
            bill = (row["cost_cents"], row["energy_mwh"], row["status"], row["billable"])
            first = self._settled.setdefault(row["session_id"], bill)
            if first != bill:
                self.changed.append(f"{row['session_id']} was settled as {first}, and then {bill}")
                self._settled[row["session_id"]] = bill


def judge(
    facts: Facts,
    *,
    changed: Sequence[str] = (),
    failed_at: Mapping[str, datetime] | None = None,
    crashes: Sequence[str] = (),
) -> Verdict:
    """Hold `facts`, of a network that should be at rest, against what was promised."""
    found = checker.findings(facts)
    open_sessions = [text for _, text in checker.open_sessions(facts)]
    return Verdict(
        lost=[*found[Promise.KEPT], *open_sessions],
        billed_twice=[*found[Promise.ONCE], *changed],
        wrong_totals=found[Promise.TOTALS],
        no_final=[text for _, text in checker.open_requests(facts)],
        others=[
            *found[Promise.ONE_AT_A_TIME],
            *found[Promise.ONE_ENDING],
            *_stale_starts(facts, failed_at or {}),
            *crashes,
        ],
    )


def _stale_starts(facts: Facts, failed_at: Mapping[str, datetime]) -> Iterable[str]:
    for record in (each.record for each in facts.kept):
        failed = failed_at.get(record.request_id)
        if failed and record.started_at and record.started_at > failed + STALE_START:
            late_s = (record.started_at - failed).total_seconds()
            yield f"{record.session_id} began {late_s:.1f} s after its driver was told FAILED"


def last_line(
    verdict: Verdict, session_count: int, fault_count: int, converged_s: float | None
) -> str:
    """The run in one line."""
    converged = "did not converge" if converged_s is None else f"converged in {converged_s:.1f} s"
    return (
        f"{session_count} sessions, {fault_count} faults, lost {len(verdict.lost)}, "
        f"billed twice {len(verdict.billed_twice)}, wrong totals {len(verdict.wrong_totals)}, "
        f"requests without a final status {len(verdict.no_final)}, "
        f"other promises broken {len(verdict.others)}, {converged}"
    )
