"""An engine's sessions on disk: the one that runs, and those that are over.

One SQLite file in the state directory, each save one synchronous commit.  A file that is damaged is
put aside, and what can be read of it is carried over.
"""

from evd.adapters.buffer.buffer import SessionBuffer, open_buffer
from evd.adapters.buffer.database import BufferCorrupt, BufferFailed, BufferUnusable

__all__ = ["BufferCorrupt", "BufferFailed", "BufferUnusable", "SessionBuffer", "open_buffer"]
