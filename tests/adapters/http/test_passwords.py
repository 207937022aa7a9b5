"""The checks of passwords: how many at once, who waits, and who goes first."""

import subprocess
import sys
import time

import pytest
import trio
import trio.testing

from evd.adapters.http.access.passwords import (
    AT_ONCE,
    CHARS_MAX,
    WAITING_MAX,
    Passwords,
    check_password,
    check_shown_password,
)
from evd.adapters.http.refused import Refused
from evd.core.wire.fields import FieldError

PASSWORD = "correct horse battery"


def test_nobody_pays_before_the_first_login() -> None:
    """Proves: a Central whose callers never log in loads neither library of logins."""
    program = "import sys, evd.daemons.central.program; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    loaded = done.stdout.split()
    assert "evd.adapters.http.access.passwords" in loaded
    assert not {"argon2", "jwt", "cryptography"} & set(loaded)


async def test_a_password_is_known_by_its_hash() -> None:
    """Proves: only the password itself is right, a user that there is not has none, and a hash that
    can't be read is no reason to crash."""
    passwords = Passwords()
    kept = await passwords.hash(PASSWORD)
    assert kept.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert kept != await passwords.hash(PASSWORD)
    assert await passwords.is_right(kept, PASSWORD, is_known=False)
    for wrong_kept, shown in ((kept, PASSWORD + "x"), (None, PASSWORD), ("$argon2id$x", PASSWORD)):
        assert not await passwords.is_right(wrong_kept, shown, is_known=False)


async def test_an_unknown_name_costs_the_same() -> None:
    """Proves: how long the answer takes does not tell whether there is such a user."""
    passwords = Passwords()
    kept = await passwords.hash(PASSWORD)
    # The first one of nobody makes a hash to compare with.
    await passwords.is_right(None, PASSWORD, is_known=False)
    used_s = []
    for each in (kept, None):
        began_s = time.process_time()
        await passwords.is_right(each, "wrong", is_known=False)
        used_s.append(time.process_time() - began_s)
    assert used_s[1] > used_s[0] / 3


async def test_few_wait_and_known_addresses_go_first() -> None:
    """Proves: two are at work, ten wait, one more is told to come again; somebody whose address is
    known takes the place of the last stranger, and is served before all of them."""
    passwords = Passwords()
    ended: list[str] = []
    refused: list[str] = []

    async def check(name: str, *, is_known: bool = False) -> None:
        try:
            await passwords.is_right(None, PASSWORD, is_known=is_known)
        except Refused as error:
            assert error.status == 503
            assert error.headers["Retry-After"]
            refused.append(name)
        else:
            ended.append(name)

    strangers = [f"stranger-{number}" for number in range(AT_ONCE + WAITING_MAX)]
    async with trio.open_nursery() as nursery:
        for name in strangers:
            nursery.start_soon(check, name)
            # Each has its place before the next one comes.
            await trio.lowlevel.checkpoint()
            await trio.lowlevel.checkpoint()
        await check("one too many")
        assert refused == ["one too many"]
        nursery.start_soon(lambda: check("known", is_known=True))
    assert refused == ["one too many", strangers[-1]]
    assert sorted(ended) == sorted(["known", *strangers[:-1]])
    assert ended.index("known") <= 2 * AT_ONCE


async def test_one_who_leaves_gives_the_place_back() -> None:
    """Proves: a client that goes while it waits holds up nobody."""
    passwords = Passwords()
    with trio.move_on_after(0):
        await passwords.is_right(None, PASSWORD, is_known=False)
    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE + WAITING_MAX):
            nursery.start_soon(lambda: passwords.is_right(None, PASSWORD, is_known=False))
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    with trio.fail_after(20.0):
        assert not await passwords.is_right(None, PASSWORD, is_known=False)


@pytest.mark.parametrize(
    "value", ["short", "x" * (CHARS_MAX + 1), 5, None, ["s3cret" * 5], "\ud800" * 10]
)
def test_a_bad_password_is_not_shown(value: object) -> None:
    """Proves: a new password has 10 to 1,024 characters of valid Unicode, and an error shows
    nothing of it."""
    with pytest.raises(FieldError) as raised:
        check_password(value)
    assert raised.value.field == "password"
    assert "s3cret" not in str(raised.value)
    assert "xxx" not in str(raised.value)


def test_a_shown_password_may_have_any_length() -> None:
    """Proves: what somebody types is compared, and not judged, up to the bound."""
    assert check_shown_password("") == ""
    with pytest.raises(FieldError):
        check_shown_password("x" * (CHARS_MAX + 1))
