"""The one place where a daemon reads its clocks."""

from datetime import UTC, datetime

import trio

from evd.core.effects import Now


def now() -> Now:
    """Return both clocks of this moment; the monotonic one is Trio's, so a test can move it."""
    return Now(trio.current_time(), datetime.now(UTC))
