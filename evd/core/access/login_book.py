"""The logins, and the addresses from which each user has logged in.

A login lasts 12 hours, or one that nobody uses.  Times are the wall clock's: they hold over a
restart of Central.
"""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

import attrs

from evd.core.access.rows import AddressEnd, KnownAddress, Login, LoginEnd
from evd.core.access.throttle import neighbourhood

LASTS = timedelta(hours=12)
UNUSED_MAX = timedelta(hours=1)
# How far `used_at` may be behind.
USED_STEP = timedelta(minutes=1)
OF_ONE_MAX = 100
KNOWN_FOR = timedelta(days=30)
ADDRESSES_OF_ONE_MAX = 50
ADDRESS_STEP = timedelta(hours=1)

LoginRow = Login | LoginEnd | KnownAddress | AddressEnd


class LoginBook:
    """Every login, by the digest of its cookie.  A verb returns the rows that it changed."""

    def __init__(self, logins: Iterable[Login], addresses: Iterable[KnownAddress]) -> None:
        self._logins = {login.digest: login for login in logins}
        self._addresses = {each.place: each for each in addresses}

    def good(self, digest: str, wall: datetime) -> Login | None:
        """Return the login with this digest, if it is not over."""
        login = self._logins.get(digest)
        return login if login is not None and _lasts(login, wall) else None

    def begin(self, login: Login) -> list[LoginRow]:
        """Take a new login; of too many of one user or token the oldest ends."""
        same = [each for each in self._logins.values() if _owner(each) == _owner(login)]
        same.sort(key=lambda each: each.created_at)
        ended = self._end(same[: max(0, len(same) + 1 - OF_ONE_MAX)])
        self._logins[login.digest] = login
        return [*ended, login, *self._remember(login)]

    def _remember(self, login: Login) -> list[LoginRow]:
        """Know the address from which a user logged in."""
        if login.user_name is None:
            return []
        user, address, wall = login.user_name, neighbourhood(login.address), login.created_at
        known = self._addresses.get(_place(user, address))
        if known is not None and wall - known.seen_at < ADDRESS_STEP:
            return []
        row = KnownAddress(_place(user, address), user, address, wall)
        self._addresses[row.place] = row
        of_user = [each for each in self._addresses.values() if each.user_name == user]
        of_user.sort(key=lambda each: each.seen_at)
        return [row, *self._forget(of_user[: max(0, len(of_user) - ADDRESSES_OF_ONE_MAX)])]

    def is_known(self, user: str, address: str, wall: datetime) -> bool:
        """Return whether this user has logged in from there lately."""
        known = self._addresses.get(_place(user, neighbourhood(address)))
        return known is not None and wall - known.seen_at < KNOWN_FOR

    def use(self, login: Login, wall: datetime) -> list[LoginRow]:
        """Note that a login was used; the rows are those that are to be written."""
        if wall - login.used_at < USED_STEP:
            return []
        used = self._logins[login.digest] = attrs.evolve(login, used_at=wall)
        return [used]

    def end(self, digest: str) -> list[LoginRow]:
        """End one login."""
        login = self._logins.get(digest)
        return [] if login is None else self._end([login])

    def end_of_user(self, user: str) -> list[LoginRow]:
        """End all logins of a user."""
        return self._end_where(lambda login: login.user_name == user)

    def end_of_token(self, token_digest: str) -> list[LoginRow]:
        """End all logins by a token."""
        return self._end_where(lambda login: login.token_digest == token_digest)

    def forget_user(self, user: str) -> list[LoginRow]:
        """Know no address of a user any more."""
        known = [each for each in self._addresses.values() if each.user_name == user]
        return self._forget(known)

    def sweep(self, wall: datetime) -> list[LoginRow]:
        """Drop the logins that are over, and the addresses of long ago."""
        old = [each for each in self._addresses.values() if wall - each.seen_at >= KNOWN_FOR]
        return [*self._end_where(lambda login: not _lasts(login, wall)), *self._forget(old)]

    def _end_where(self, is_over: Callable[[Login], bool]) -> list[LoginRow]:
        return self._end([login for login in self._logins.values() if is_over(login)])

    def _end(self, logins: Iterable[Login]) -> list[LoginRow]:
        ended: list[LoginRow] = []
        for login in logins:
            del self._logins[login.digest]
            ended.append(LoginEnd(login.digest))
        return ended

    def _forget(self, addresses: Iterable[KnownAddress]) -> list[LoginRow]:
        gone: list[LoginRow] = []
        for each in addresses:
            del self._addresses[each.place]
            gone.append(AddressEnd(each.place))
        return gone


def _lasts(login: Login, wall: datetime) -> bool:
    return wall < login.expires_at and wall - login.used_at < UNUSED_MAX


def _owner(login: Login) -> tuple[str | None, str | None]:
    return login.user_name, login.token_digest


def _place(user: str, address: str) -> str:
    return f"{user} {address}"
