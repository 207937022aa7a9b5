"""Central's database: what it must never forget.

`open_store` gives the `Store`.  SQLite by default, PostgreSQL when outgrown.  A commit is on the
disk when it returns; one that fails stores nothing.
"""

from evd.adapters.store.address import is_shared
from evd.adapters.store.backup import backup, restore
from evd.adapters.store.failures import StoreFailed, StoreInUse, StoreRefused, UnknownRow
from evd.adapters.store.page import Page, SessionFilter
from evd.adapters.store.store import Store, open_store
from evd.adapters.store.writer import Retention

__all__ = [
    "Page",
    "Retention",
    "SessionFilter",
    "Store",
    "StoreFailed",
    "StoreInUse",
    "StoreRefused",
    "UnknownRow",
    "backup",
    "is_shared",
    "open_store",
    "restore",
]
