"""A Central that shares its database with nobody, and opens none here."""

from pathlib import Path
from typing import Final

from evd.adapters.store import open_store
from evd.daemons.central.standing import Alone

ALONE: Final = Alone(lambda: open_store("sqlite:///unused.db", Path("unused")))
