"""The story of one session: the lines that all parts wrote, and each fault, in order of time."""

import re
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import orjson

from tests.network.checker import Facts

IDS: Final = re.compile(r"(?:session|req)-[0-9a-f]{32}")
# The story begins so long before the first word on the session, and ends so long after the last.
AROUND: Final = timedelta(seconds=10)
LINES_MAX: Final = 250

Entry = tuple[datetime, str, str]


def ids_about(text: str, facts: Facts) -> set[str]:
    """The session and the request that `text` speaks of."""
    ids = set(IDS.findall(text))
    pairs = [(row["session_id"], row["request_id"]) for row in facts.sessions]
    pairs += [(each.record.session_id, each.record.request_id) for each in facts.kept]
    return ids.union(*(pair for pair in pairs if ids.intersection(pair)))


def names_about(ids: Collection[str], facts: Facts) -> set[str]:
    """The charging point and the driver of these sessions and requests."""
    rows = [row for row in facts.sessions if row["session_id"] in ids]
    rows += [row for row in facts.requests.values() if row["request_id"] in ids]
    names = {row[column] for row in rows for column in ("cp_id", "driver_id")}
    records = [each.record for each in facts.kept if each.record.session_id in ids]
    names |= {name for record in records for name in (record.cp_id, record.driver_id)}
    names |= {driver for driver, asked in facts.asked.items() if set(asked).intersection(ids)}
    return names - {None}


def story(text: str, facts: Facts, logs: Path) -> str:
    """The lines behind a broken promise; `text` names the session or the request."""
    ids = ids_about(text, facts)
    if not ids:
        return text
    names = names_about(ids, facts)
    lines = sorted(_lines(logs))
    about = [when for when, _, said in lines if any(each in said for each in ids)]
    if not about:
        return text
    first, last = min(about) - AROUND, max(about) + AROUND
    chosen = [
        f"{when:%H:%M:%S.%f} {who}: {said}"
        for when, who, said in lines
        if first <= when <= last
        and (
            any(each in said for each in ids)
            or who == "chaos"
            or any(name in who or name in said for name in names)
        )
    ]
    if len(chosen) > LINES_MAX:
        half = LINES_MAX // 2
        chosen = [*chosen[:half], f"… {len(chosen) - LINES_MAX} lines …", *chosen[-half:]]
    return "\n".join([text, *chosen])


def _lines(logs: Path) -> Iterator[Entry]:
    for path in logs.iterdir():
        for line in path.read_text(errors="replace").splitlines():
            found = _parsed(line, path.name)
            if found is not None:
                yield found


def _parsed(line: str, name: str) -> Entry | None:
    try:
        if line.startswith("{"):
            fields = orjson.loads(line)
            return datetime.fromisoformat(fields["ts"]), fields["component"], fields["text"]
        when, _, said = line.partition(" | ")
        return datetime.fromisoformat(when), name.partition(".")[0], said
    except (ValueError, KeyError):
        # A traceback, or a line that was cut off in the middle.
        return None
