"""An engine's sessions on disk: the one that runs, and those that are over.

They are one SQLite file in the state directory, and each save is one synchronous commit.  A damaged
file is put aside, and all that can be read of it is carried over.
"""

from evd.adapters.buffer.buffer import SessionBuffer, open_buffer
from evd.adapters.buffer.database import (
    SESSIONS_FORMAT,
    BufferCorrupt,
    BufferFailed,
    BufferUnusable,
)

__all__ = [
    "SESSIONS_FORMAT",
    "BufferCorrupt",
    "BufferFailed",
    "BufferUnusable",
    "SessionBuffer",
    "open_buffer",
]
