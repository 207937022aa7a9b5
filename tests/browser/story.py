"""A day in the life of a made-up network, as Central's API tells it: for pictures."""

import math
import random
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from tests.browser.crowd import DRIVERS, Crowd, Fields, text_of

CP_ID: Final = "CP-00006"
DAY: Final = timedelta(days=1)
POWER_POINTS: Final = 480
CURVE_POINTS: Final = 120
_OUTCOMES: Final = (
    ("COMPLETED", ""),
    ("COMPLETED", ""),
    ("COMPLETED", "stopped by its driver"),
    ("FAILED", "the engine restarted in mid-session"),
)
_HAPPENED: Final = (
    ("SESSION_ENDED", "COMPLETED", 0),
    ("SESSION_STARTED", "", 52),
    ("REFUSED", "denied: it is broken: no answer within 1 s", 31),
    ("RECOVERY", "its engine answers again", 12),
    ("FAULT", "no answer within 1 s", 19),
    ("SESSION_ENDED", "FAILED: the engine restarted in mid-session", 1),
    ("SESSION_STARTED", "", 23),
    ("RESUMED", "by the operator", 140),
    ("STOPPED", "by the operator", 35),
    ("RECONNECTED", "", 200),
    ("DISCONNECTED", "its monitor's connection closed", 3),
    ("SESSION_ENDED", "COMPLETED", 90),
    ("SESSION_STARTED", "", 47),
)


def answer(url: str, crowd: Crowd, now: datetime) -> Fields | None:
    """The answer to a GET of this URL; None where the story has none."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    by_id = {point["cp_id"]: point for point in crowd.points}
    match parts.path.strip("/").split("/"):
        case ["states"]:
            return {"states": [_states(by_id[cp_id], now) for cp_id in query["cp_id"]]}
        case ["power"]:
            return {"power": _power(query, crowd, now)}
        case ["timeline"]:
            return {"timeline": _timeline(now)}
        case ["sessions"]:
            of = query.get("cp_id", [None])[0]
            return {"sessions": [_session(number, of, now) for number in range(24)]}
        case ["sessions", _]:
            return {**_session(1, CP_ID, now), "curve": _curve()}
        case ["faults", "statistics"]:
            return {"statistics": [_statistics(query["cp_id"][0])]}
    return None


def _states(point: Fields, now: datetime) -> Fields:
    """Some outages, and since when it is as it is now."""
    chance = random.Random(point["cp_id"])
    until = now
    if point["state"] != "ON":
        until = max(now - DAY, datetime.fromisoformat(point["state_since"]))
    at, spans = now - DAY, []
    for share in sorted(chance.random() for _ in range(chance.choice((0, 0, 1, 2, 3)))):
        begin = now - DAY * (1 - share)
        end = begin + timedelta(minutes=chance.choice((4, 25, 80)))
        if at < begin and end < until:
            outage = chance.choice(("BROKEN", "DISCONNECTED"))
            spans += [_span("ON", at, begin), _span(outage, begin, end)]
            at = end
    spans.append(_span("ON", at, until))
    if until < now:
        spans.append(_span(point["state"], until, now))
    return {"cp_id": point["cp_id"], "spans": spans}


def _span(state: str, since: datetime, until: datetime) -> Fields:
    return {"state": state, "since": text_of(since), "until": text_of(until)}


def _power(query: dict[str, list[str]], crowd: Crowd, now: datetime) -> list[Fields]:
    """A curve that ends at the power of now."""
    since = datetime.fromisoformat(query["since"][0]) if "since" in query else now - DAY
    of = query.get("cp_id", [None])[0]
    kw = sum(each["telemetry"]["kw"] for each in crowd.charging if of in (None, each["cp_id"]))
    times = [since + (now - since) * share / POWER_POINTS for share in range(POWER_POINTS)]
    return [
        {"ts": text_of(time), "kw": round(kw * min(1.5, _wave(time) / _wave(now)), 2)}
        for time in times
    ]


def _wave(time: datetime) -> float:
    hour = time.timestamp() / 3600
    return 0.6 + 0.3 * math.sin(hour / 3.4) + 0.08 * math.sin(hour * 5)


def _timeline(now: datetime) -> list[Fields]:
    rows, at = [], now - timedelta(minutes=6)
    for number, (kind, text, minutes) in enumerate(_HAPPENED):
        at -= timedelta(minutes=minutes)
        row: Fields = {"id": f"row-{number}", "kind": kind, "ts": text_of(at), "text": text}
        if kind.startswith("SESSION") or kind == "REFUSED":
            row["driver_id"] = DRIVERS[number % len(DRIVERS)]
        if kind.startswith("SESSION"):
            row["session_id"] = f"session-{number:032x}"
        if kind == "SESSION_ENDED":
            row |= {"kwh": 18.412, "euros": 5.52}
        rows.append(row)
    return rows


def _session(number: int, cp_id: str | None, now: datetime) -> Fields:
    chance = random.Random(number)
    status, reason = _OUTCOMES[number % len(_OUTCOMES)]
    start = now - timedelta(minutes=37 * number + 61)
    kwh = round(4 + chance.random() * 22, 3)
    return {
        "session_id": f"session-{number:032x}",
        "request_id": f"req-{number:032x}",
        "cp_id": cp_id or f"CP-{chance.randint(1, 14):05d}",
        "driver_id": chance.choice(DRIVERS),
        "start_time": text_of(start),
        "end_time": text_of(start + timedelta(minutes=20 + chance.random() * 30)),
        "total_kwh": kwh,
        "total_cost": round(kwh * 0.3, 2),
        "status": status,
        "reason": reason,
        "estimated": False,
        "billable": True,
        "stray": False,
        "suspect": False,
    }


def _curve() -> list[list[float]]:
    points, kwh = [], 0.0
    for number in range(CURVE_POINTS):
        kw = 22.0 if number < 78 else 22.0 * math.exp(-(number - 78) / 26)
        kwh += kw * 24 / 3600
        points.append([number * 24.0, round(kw, 2), round(kwh, 3)])
    return points


def _statistics(cp_id: str) -> Fields:
    figures: dict[str, Any] = {"mtbf_s": 431_000.0, "mttr_s": 745.0, "uptime": 0.99782}
    return {"cp_id": cp_id, "faults": 5, "recoveries": 5, "disconnections": 2, **figures}
