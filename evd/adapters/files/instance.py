"""The identity of a monitor on its disk."""

import contextlib
import uuid
from pathlib import Path
from typing import Final

from evd.adapters.files.regular_file import open_regular
from evd.adapters.files.state_dir import write_whole
from evd.core.wire.fields import FieldError, check_id

ID_FILE: Final = "instance_id"
ID_FORMAT: Final = 1
_ID_BYTES_MAX: Final = 256


def read_instance_id(state_dir: Path) -> str:
    """Return the id that is kept in `state_dir`, or a new one if there is none that can be used.

    A lost id costs one time-out: Central accepts the new one once the old one is silent.  Raises
    OSError if the file can't be read or written.
    """
    path = state_dir / ID_FILE
    with contextlib.suppress(FileNotFoundError):
        with open(open_regular(path), "rb") as file:
            text = file.read(_ID_BYTES_MAX).decode(errors="replace").strip()
        with contextlib.suppress(FieldError):
            return check_id(text, ID_FILE)
    instance_id = uuid.uuid4().hex
    write_whole(path, f"{instance_id}\n".encode())
    return instance_id
