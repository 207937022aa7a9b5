"""The report of a fleet: lines for people, fields for a script."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from evd.core.fleet.report import Report
from evd.core.fleet.waits import Spread

NAME_CHARS: Final = 26


def as_fields(report: Report) -> dict[str, Any]:
    """All figures, and the verdict."""
    return {
        **attrs.asdict(report),
        "shortfalls": report.shortfalls,
        "kept_up": report.kept_up,
        "played_late": report.is_late,
    }


def as_lines(report: Report) -> Iterator[str]:
    """A line for each figure, and the verdict at the end."""
    for name, figure in _figures(report):
        yield f"{name:{NAME_CHARS}} {figure}"
    if report.is_late:
        yield "This machine played the fleet late: it needs more processor before these count."
    if report.kept_up:
        yield "Central kept up."
    else:
        yield f"Central did not keep up: {'; '.join(report.shortfalls)}."


def _figures(report: Report) -> Iterator[tuple[str, str]]:
    central = report.central
    took = "never all" if report.registered_s is None else f"all in {report.registered_s:g} s"
    yield "registered", f"{report.registered:,} of {report.cps:,}, {took}"
    yield "monitors refused", _counts(report.nacks)
    yield "charging", f"{report.charging:,}"
    yield "Central's processor", _or_unknown(central.cores, "of a core")
    yield "Central's memory", _or_unknown(central.resident_mb, "MB")
    rates = {name: value for name, value in report.messages_s.items() if value}
    yield "messages a second", f"{sum(rates.values()):,.0f}: {_counts(rates)}"
    yield "request to ACCEPTED", _spread(report.accepted)
    yield "reading to IN_PROGRESS", _spread(report.shown)
    yield "heartbeat to ACK", _spread(report.acked)
    yield "requests ended", _counts(report.finals)
    if report.reasons:
        yield "not COMPLETED because", _counts(report.reasons)
    yield "without an answer in 10 s", f"{report.given_up}"
    wrong = {"DISCONNECTED": central.disconnected, "BROKEN": central.broken}
    told = [f"{_or_unknown(count)} {state}" for state, count in wrong.items()]
    yield "wrongly shown", ", ".join([*told, f"{_or_unknown(central.not_on)} not ON at the end"])
    lost = f"{report.lost}"
    if report.away_s:
        lost += f", all back after {report.away_s:g} s"
    yield "connections lost", lost
    yield "GET /cp", _or_unknown(central.list_ms, "ms")
    yield "this fleet's processor", f"{report.own_cores:g} of a core"
    yield "beats sent late by", _spread(report.late)


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return "none"
    most = f"longest {spread.most_ms:g} ms"
    return f"p50 {spread.p50_ms:g} ms, p99 {spread.p99_ms:g} ms, {most} ({spread.count:,})"


def _counts(counts: Mapping[str, float]) -> str:
    return (
        ", ".join(f"{name or 'no reason'} {count:,g}" for name, count in counts.items()) or "none"
    )


def _or_unknown(value: float | None, unit: str = "") -> str:
    return "?" if value is None else f"{value:g} {unit}".rstrip()
