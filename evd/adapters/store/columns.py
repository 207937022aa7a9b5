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
from sqlalchemy import TIMESTAMP, BigInteger, Boolean, Column, Double, Text

from evd.adapters.store.database import Database, storable
from evd.adapters.store.unreadable import complete, name_of
from evd.core.curve import CurvePoint
from evd.core.wire.fields import (
    CP_ID_FORM,
    ID_FORM,
    check_count,
    check_cp_id,
    check_number,
    clip,
)

R = TypeVar("R", bound=attrs.AttrsInstance)
Getter = Callable[[Any], Any]

# RFC 3339 in UTC, always of the same length: it sorts as the times do.
TIME = Text().with_variant(TIMESTAMP(timezone=True), "postgresql")
_TYPES: Mapping[type, Any] = {
    bool: Boolean(),
    datetime: TIME,
    float: Double(),
    frozenset: Text(),
    int: BigInteger(),
    str: Text(),
    tuple: Text(),
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
        self._unreadable = database.unreadable
        self.getters: dict[str, Getter] = {}
        self._readers: dict[str, Getter] = {}
        for field in attrs.fields(row_class):
            kind, nullable = _kind(field.type)
            write, read = _conversions(kind, field.name, database)
            self.getters[field.name] = _getter(field.name, write)
            self._readers[field.name] = _optional(read) if nullable else read

    def read(self, values: Sequence[Any]) -> R | None:
        """The row with these stored values, in the order of its fields.

        Where a value is none that could have been written, the row is named among the unreadable,
        and what is left of it returned: None where that is too little.
        """
        try:
            found = zip(self._readers.values(), values, strict=True)
            return self._class(*[read(value) for read, value in found])
        except (ValueError, TypeError, OverflowError):
            return self._salvage(values)

    def _salvage(self, values: Sequence[Any]) -> R | None:
        fields: dict[str, Any] = {}
        wrong: dict[str, object] = {}
        for (name, read), value in zip(self._readers.items(), values, strict=True):
            try:
                fields[name] = read(value)
            except (ValueError, TypeError, OverflowError):
                wrong[name] = value
        self._unreadable.add(name_of(self._class, values[0]), wrong)
        if not complete(self._class, fields, wrong):
            return None
        try:
            return self._class(**fields)
        except TypeError:
            # Nothing can stand for an id.
            return None


def _optional(read: Getter) -> Getter:
    return lambda value: None if value is None else read(value)


def _getter(name: str, write: Getter | None) -> Getter:
    get = attrgetter(name)
    if write is None:
        return get

    def written(row: Any) -> Any:
        value = get(row)
        return None if value is None else write(value)

    return written


def _conversions(kind: type, name: str, database: Database) -> tuple[Getter | None, Getter]:
    """From a field's value to a stored one (None where they are the same), and back.

    The way back raises ValueError or TypeError for what could not have been written: SQLite takes
    any value in any column.
    """
    if issubclass(kind, Enum):
        return attrgetter("value"), kind
    if name.endswith("_id"):
        form = CP_ID_FORM if name == "cp_id" else ID_FORM
        return storable, lambda value: value if form.fullmatch(value) else _refuse(value)
    conversions: dict[type, tuple[Getter | None, Getter]] = {
        bool: (None, lambda value: bool(value) if value in (0, 1) else _refuse(value)),
        datetime: (database.time_to_column, database.time_from_column),
        float: (None, lambda value: check_number(value, name)),
        frozenset: (
            lambda names: json.dumps(sorted(names)),
            lambda raw: frozenset(check_cp_id(each) for each in json.loads(raw)),
        ),
        int: (None, lambda value: check_count(value, name)),
        # Cut: a sentence that no message holds could never be told.
        str: (storable, lambda value: clip(value) if isinstance(value, str) else _refuse(value)),
        tuple: (
            lambda points: json.dumps(points, separators=(",", ":")),
            lambda raw: tuple(_point(each) for each in json.loads(raw)),
        ),
    }
    return conversions[kind]


def _point(numbers: Sequence[object]) -> CurvePoint:
    at_s, kw, kwh = (check_number(number, "points") for number in numbers)
    return at_s, kw, kwh


def _refuse(value: object) -> Any:
    raise ValueError(value)
