"""The names of metrics in an expression of PromQL."""

import re
from typing import Final

from tests.unit.exposition import DAEMONS, PROTECTED, listed, sections

# Made by Prometheus itself.
OWN: Final = {"up", "ALERTS"}
_WORDS: Final = {"and", "or", "unless", "bool", "offset"}
_LEFT_OUT: Final = re.compile(
    r"""
    "[^"]*"                                         # a text
    | \{[^}]*\} | \[[^]]*\]                         # matchers, a range
    | \b(?:by|without|on|ignoring|group_left|group_right)\s*(?:\([^)]*\))?
    | \b\d[\w.]*                                    # a number or a duration
    | \b\w+\s*(?=\(|\bby\b|\bwithout\b)             # a function
    """,
    re.VERBOSE,
)


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression uses; a histogram's series as its own name."""
    names = set(re.findall(r"[a-zA-Z_:]\w*", _LEFT_OUT.sub(" ", expression))) - _WORDS
    histograms = {name for name, family in _existing().items() if family == "histogram"}
    parts = {f"{name}_{part}": name for name in histograms for part in ("bucket", "sum", "count")}
    return {parts.get(name, name) for name in names}


def unknown_in(expression: str) -> set[str]:
    """The names in an expression that no daemon of ours shows."""
    return metrics_in(expression) - _existing().keys() - OWN


def _existing() -> dict[str, str]:
    parts = [*map(listed, DAEMONS), sections()[PROTECTED]]
    return {name: family.kind for part in parts for name, family in part.items()}
