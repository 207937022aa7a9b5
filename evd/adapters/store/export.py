"""All that a question finds, however much: read in pages, each a short reading of its own."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Generic, TypeVar

import attrs
from sqlalchemy.engine.interfaces import DBAPICursor

from evd.adapters.store.queries import Queries
from evd.adapters.store.reader import Readers

R = TypeVar("R", bound=attrs.AttrsInstance)
T = TypeVar("T")

# A page takes a thread 20 ms.  Four times as long ones were slower, and doubled how long a monitor
# may wait for its answer meanwhile.
PAGE_ROWS: Final = 500


class Export(Generic[R, T]):
    """Yields what `shape` makes of each page, newest first; `shape` is called in a thread.

    A page begins behind the last row of the one before: rows that are added meanwhile make it
    neither skip nor repeat one.  Between two pages nothing of the database is held, so it may be
    left at any of them.  Raises StoreFailed, and before the first page UnknownRow.
    """

    def __init__(
        self,
        readers: Readers,
        queries: Queries,
        row_class: type[R],
        wanted: Mapping[str, Any],
        limit: int | None,
        shape: Callable[[Sequence[R]], T],
    ) -> None:
        self._readers = readers
        self._queries = queries
        self._class = row_class
        self._wanted = dict(wanted)
        self._left = limit
        self._shape = shape

    def __aiter__(self) -> "Export[R, T]":
        return self

    async def __anext__(self) -> T:
        if self._left == 0:
            raise StopAsyncIteration
        return await self._readers.run(self._next_page)

    def _next_page(self, cursor: DBAPICursor) -> T:
        wanted = PAGE_ROWS if self._left is None else min(self._left, PAGE_ROWS)
        found = self._queries.newest(cursor, self._class, self._wanted, wanted)
        if len(found) < wanted:
            self._left = 0
        else:
            self._wanted |= {"before": found[-1].key, "before_time": found[-1].time}
            self._left = None if self._left is None else self._left - wanted
        return self._shape([each.row for each in found if each.row is not None])
