"""The end of a client of librdkafka, which may wait for a broker that is gone, or hang for ever.

Its destroy now and then never returns for a client that was made a moment before.
"""

import threading
from collections.abc import Callable
from typing import Final

END_S_MAX: Final = 0.5


def end_soon(end: Callable[[], object], within_s: float = END_S_MAX) -> bool:
    """Whether `end` came back within this time; if not, it is left to go on in its own thread."""
    ending = threading.Thread(target=end, name="end", daemon=True)
    ending.start()
    ending.join(within_s)
    return not ending.is_alive()
