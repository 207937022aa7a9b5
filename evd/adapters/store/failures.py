"""How a database can fail Central."""

CLOSED = "the database is closed"


class StoreFailed(Exception):
    """The database did not do it now: full, read-only, failing, locked or away.

    Nothing of what was asked is stored, and the same may be asked again.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class StoreRefused(Exception):
    """A database that Central can't work with until an operator has done something.

    One sentence, which begins with the flag that it is about.
    """


class StoreInUse(StoreRefused):
    """Another Central has the database."""


class UnknownRow(LookupError):
    """No row of the list has this key."""
