"""Passwords by argon2id: slow on purpose, so in threads, few at once, and few that wait.

A flood of logins costs two threads and 40 MB at the most.
"""

import contextlib
import functools
import os
from collections import deque
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any, Final

import attrs
import trio

from evd.adapters.http.refused import Refused
from evd.core.wire.fields import FieldError

CHARS_MIN: Final = 10
CHARS_MAX: Final = 1024
TIME_COST: Final = 2
MEMORY_KIB: Final = 19 * 1024
PARALLELISM: Final = 1
AT_ONCE: Final = 2
WAITING_MAX: Final = 10
RETRY_S: Final = 2

_FULL: Final = "too many logins are being checked; try again in some seconds"


def check_password(value: object, name: str = "password") -> str:
    """A new password; FieldError, which never shows it, for one of another length."""
    text = check_shown_password(value, name)
    if not CHARS_MIN <= len(text) <= CHARS_MAX:
        raise FieldError(name, f"must have {CHARS_MIN} to {CHARS_MAX} characters")
    return text


def check_shown_password(value: object, name: str = "password") -> str:
    """A password that somebody shows: a text of any length up to the bound, in valid Unicode."""
    if not isinstance(value, str) or len(value) > CHARS_MAX:
        raise FieldError(name, f"must be a text of at most {CHARS_MAX} characters")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise FieldError(name, "must be valid Unicode") from None
    return value


@attrs.define(eq=False)
class _Waiting:
    """One who waits for a thread; `is_out`: another one took its place."""

    turn: trio.Event = attrs.Factory(trio.Event)
    is_out: bool = False


class Passwords:
    """Makes and checks the hashes, at most AT_ONCE at a time."""

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(AT_ONCE)
        self._at_work = 0
        # Those whose user has logged in from their address before go first.
        self._known: deque[_Waiting] = deque()
        self._unknown: deque[_Waiting] = deque()

    async def hash(self, password: str) -> str:
        """The hash to keep of a new password.  Raises Refused where too many wait."""
        async with self._place(is_known=True):
            return await trio.to_thread.run_sync(_hash, password, limiter=self._limiter)

    async def is_right(self, kept: str | None, password: str, *, is_known: bool) -> bool:
        """Whether `kept` is the hash of the password; None, which none is, costs the same.

        Raises Refused where too many wait; `is_known` goes before those who are not.
        """
        async with self._place(is_known=is_known):
            return await trio.to_thread.run_sync(_verify, kept, password, limiter=self._limiter)

    @contextlib.asynccontextmanager
    async def _place(self, *, is_known: bool) -> AsyncIterator[None]:
        if self._at_work >= AT_ONCE:
            await self._wait(self._known if is_known else self._unknown)
        else:
            self._at_work += 1
        try:
            yield
        finally:
            self._leave()

    async def _wait(self, queue: deque[_Waiting]) -> None:
        """Return when a place was handed over."""
        if len(self._known) + len(self._unknown) >= WAITING_MAX:
            if queue is self._unknown or not self._unknown:
                raise Refused(503, _FULL, retry_s=RETRY_S)
            newest = self._unknown.pop()
            newest.is_out = True
            newest.turn.set()
        mine = _Waiting()
        queue.append(mine)
        try:
            await mine.turn.wait()
        except trio.Cancelled:
            if mine in queue:
                queue.remove(mine)
            elif not mine.is_out:
                self._leave()
            raise
        if mine.is_out:
            raise Refused(503, _FULL, retry_s=RETRY_S)

    def _leave(self) -> None:
        for queue in (self._known, self._unknown):
            if queue:
                queue.popleft().turn.set()
                return
        self._at_work -= 1


@functools.cache
def _library() -> ModuleType:
    # Imported here, because a Central whose callers never log in need not pay for it.
    import argon2

    return argon2


@functools.cache
def _hasher() -> Any:
    return _library().PasswordHasher(
        time_cost=TIME_COST, memory_cost=MEMORY_KIB, parallelism=PARALLELISM
    )


@functools.cache
def _hash_of_nobody() -> str:
    return _hash(os.urandom(CHARS_MIN).hex())


def _hash(password: str) -> str:
    made: str = _hasher().hash(password)
    return made


def _verify(kept: str | None, password: str) -> bool:
    errors = _library().exceptions
    try:
        _hasher().verify(kept or _hash_of_nobody(), password)
    except (errors.VerificationError, errors.InvalidHashError):
        return False
    return kept is not None
