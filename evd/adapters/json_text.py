"""The JSON of values of the core, as HTTP and the feed tell them.

A time always has its six digits after the second, so that texts of times have one length and sort
as the times do; libraries leave out those of a whole second.
"""

from collections.abc import Callable
from datetime import datetime
from functools import cache
from operator import attrgetter
from typing import Any, get_args

import attrs
import orjson

from evd.core.wire.fields import format_time


def encode(value: object) -> bytes:
    """Return the JSON of a value, of attrs classes with the fields that they have."""
    return orjson.dumps(value, default=_fields, option=orjson.OPT_UTC_Z)


def _fields(value: Any) -> dict[str, object]:
    names, times, get = _getter(value.__class__)
    fields = dict(zip(names, get(value), strict=True))
    for name in times:
        when = fields[name]
        # The others are written as fast as the library can.
        if when is not None and when.microsecond == 0:
            fields[name] = format_time(when)
    return fields


@cache
def _getter(
    kind: type[attrs.AttrsInstance],
) -> tuple[tuple[str, ...], tuple[str, ...], Callable[[Any], Any]]:
    fields = attrs.fields(kind)
    names = tuple(field.name for field in fields)
    times = tuple(x.name for x in fields if datetime in (x.type, *get_args(x.type)))
    # A getter of one name returns no tuple.
    get = attrgetter(*names) if len(names) > 1 else lambda value: (getattr(value, names[0]),)
    return names, times, get
