"""The JSON of values of the core."""

from datetime import UTC, datetime, timedelta

import attrs
import orjson

from evd.adapters.json_text import encode
from evd.core.central.overview import DayTotals, EventKind, FeedEvent

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@attrs.frozen
class Told:
    """A value of one field."""

    events: list[FeedEvent]


def test_a_time_has_its_six_digits() -> None:
    """Proves: times of a whole second and others are texts of one length, which sort as the times
    do; one that is missing is null, and a day stays one."""
    whole = FeedEvent(EventKind.FAULT, None, "x", NOON)
    told = orjson.loads(encode(Told([whole, attrs.evolve(whole, ts=NOON + timedelta(0, 0, 5))])))
    assert [event["ts"] for event in told["events"]] == [
        "2026-01-31T12:00:00.000000Z",
        "2026-01-31T12:00:00.000005Z",
    ]
    assert told["events"][0]["session_id"] is None
    assert orjson.loads(encode(DayTotals(NOON.date())))["date"] == "2026-01-31"
