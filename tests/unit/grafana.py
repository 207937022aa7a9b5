"""The dashboard for Grafana, as its panels and expressions."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PATH = Path(__file__).parents[2] / "etc" / "grafana" / "evd-network.json"


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    found: dict[str, Any] = json.loads(PATH.read_text())
    return found


def expressions(part: object) -> Iterator[str]:
    """Every expression of PromQL in a part, at any depth; those of variables too."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "expr":
                yield value
            elif name == "query" and isinstance(value, str) and "(" in value:
                (metric,) = re.findall(r"^label_values\((.+), \w+\)$", value)
                yield metric
            else:
                yield from expressions(value)
    elif isinstance(part, list):
        for each in part:
            yield from expressions(each)
