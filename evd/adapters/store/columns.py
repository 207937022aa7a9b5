"""Columns drawn from the fields of a row class.

A field's type decides the type of its column, and how its value is written and read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from operator import attrgetter
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_origin

import attrs
from sqlalchemy import BigInteger, Boolean, Column, Double, Text
from sqlalchemy.dialects.postgresql import TIMESTAMP

from evd.adapters.store.database import Database, storable

R = TypeVar("R", bound=attrs.AttrsInstance)
Getter = Callable[[Any], Any]

# RFC 3339 in UTC, always of the same length: it sorts as the times do.
_TIME = Text().with_variant(TIMESTAMP(timezone=True), "postgresql")
_TYPES: Mapping[type, Any] = {
    bool: Boolean(),
    datetime: _TIME,
    float: Double(),
    frozenset: Text(),
    int: BigInteger(),
    str: Text(),
}


def _kind(annotation: Any) -> tuple[type, bool]:
    """The type of a field's values, and whether it may be None instead."""
    if isinstance(annotation, UnionType):
        kind, _ = get_args(annotation)
        return kind, True
    return get_origin(annotation) or annotation, False


def columns_of(row_class: type[attrs.AttrsInstance], primary_key: str = "") -> list[Column[Any]]:
    """A column for each field of `row_class`, in the order of the fields."""
    return [
        Column(
            field.name,
            Text() if issubclass(kind, Enum) else _TYPES[kind],
            nullable=nullable,
            primary_key=field.name == primary_key,
        )
        for field in attrs.fields(row_class)
        for kind, nullable in [_kind(field.type)]
    ]


class RowForm(Generic[R]):
    """How rows of one class are written to a database, and read from it.

    `getters` has for each field a function from a row to the value that is stored.
    """

    def __init__(self, row_class: type[R], database: Database) -> None:
        self._class = row_class
        self.getters: dict[str, Getter] = {}
        self._readers: list[Getter | None] = []
        for field in attrs.fields(row_class):
            kind, _ = _kind(field.type)
            write, read = _conversions(kind, database)
            self.getters[field.name] = _getter(field.name, write)
            self._readers.append(read)

    def read(self, values: Sequence[Any]) -> R:
        """The row with these stored values, in the order of its fields.

        Raises ValueError where a value is none that could have been written.
        """
        return self._class(
            *[
                value if value is None or read is None else read(value)
                for read, value in zip(self._readers, values, strict=True)
            ]
        )


def _getter(name: str, write: Getter | None) -> Getter:
    get = attrgetter(name)
    if write is None:
        return get

    def written(row: Any) -> Any:
        value = get(row)
        return None if value is None else write(value)

    return written


def _conversions(kind: type, database: Database) -> tuple[Getter | None, Getter | None]:
    """From a field's value to a stored one, and back; None where they are the same."""
    if issubclass(kind, Enum):
        return attrgetter("value"), kind
    conversions: dict[type, tuple[Getter | None, Getter | None]] = {
        bool: (None, bool),
        datetime: (database.time_to_column, database.time_from_column),
        frozenset: (
            lambda names: json.dumps(sorted(names)),
            lambda raw: frozenset(json.loads(raw)),
        ),
        str: (storable, None),
    }
    return conversions.get(kind, (None, None))
