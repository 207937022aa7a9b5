"""Access, in memory: who is good for what, and how that changes.

A reader answers at once.  A verb changes the memory and returns the rows to write, or raises
NotDone; its caller says nothing of it before they are stored.  A use that a reader noticed is
written later, with `take_used`.
"""

from collections.abc import Sequence
from datetime import timedelta

import attrs

from evd.core.access.copy import AccessCopy
from evd.core.access.events import ImportOutcome, LoggedIn
from evd.core.access.importing import importable
from evd.core.access.login_book import LASTS, LoginBook
from evd.core.access.refusals import NotDone
from evd.core.access.roles import Caller, Role
from evd.core.access.rows import AccessImage, AccessRow, AccessToken, Login, User
from evd.core.access.throttle import Throttle
from evd.core.access.token_book import TokenBook
from evd.core.access.unready import Unready, UnreadyBook
from evd.core.effects import Now

USERS_MAX = 1_000
NO_TOKEN = "it has no token"
WRONG_TOKEN = "its token is wrong"
NEVER_MADE = "no token was made for it"


class Access:
    """Users, tokens and logins.  `generation` rises when something is good no more."""

    def __init__(self, image: AccessImage | None = None) -> None:
        image = image or AccessImage()
        self._users = {user.name: user for user in image.users}
        self._tokens = TokenBook(image.tokens)
        self._logins = LoginBook(image.logins, image.addresses)
        self._throttle = Throttle()
        self._unready = UnreadyBook()
        self._used: dict[tuple[type, str], AccessRow] = {}
        self.generation = 0

    def users(self) -> list[User]:
        """Return the users, by name."""
        live = [user for user in self._users.values() if user.removed_at is None]
        return sorted(live, key=lambda user: user.name)

    def tokens(self) -> list[AccessToken]:
        """Return every token, those that are good no more as well, by name."""
        return self._tokens.all

    def user(self, name: str) -> User | None:
        """Return the user with this name."""
        user = self._users.get(name)
        return user if user is not None and user.removed_at is None else None

    def caller_of_digest(self, digest: str, address: str, now: Now) -> Caller | None:
        """Return the one who shows a token or a login with this digest; None: it is not good."""
        token = self._tokens.good(digest, now.wall)
        if token is not None:
            if token.role is Role.MONITOR:
                return None
            self._note_used(*self._tokens.use(token, now.wall))
            self._unready.clear(address)
            return Caller(token.name, token.role, token.driver_id, address, digest)
        login = self._logins.good(digest, now.wall)
        if login is None:
            return None
        caller = self._caller_of_login(login, address, now)
        if caller is not None:
            self._note_used(*self._logins.use(login, now.wall))
            self._unready.clear(address)
        return caller

    def _caller_of_login(self, login: Login, address: str, now: Now) -> Caller | None:
        if login.user_name is not None:
            user = self.user(login.user_name)
            if user is None:
                return None
            return Caller(user.name, user.role, None, address, login.digest)
        token = self._tokens.good(login.token_digest or "", now.wall)
        if token is None:
            return None
        return Caller(token.name, token.role, token.driver_id, address, login.digest)

    def why_no_monitor(self, cp_id: str, token_digest: str | None, now: Now) -> str:
        """Return why a charging point's token is not good; empty: it is, and was used now."""
        if not self._tokens.of_holder(f"cp {cp_id}", now.wall):
            return NEVER_MADE
        if token_digest is None:
            return NO_TOKEN
        token = self._tokens.good(token_digest, now.wall)
        if token is None or token.cp_id != cp_id:
            return WRONG_TOKEN
        self._note_used(*self._tokens.use(token, now.wall))
        return ""

    def is_token_good(self, digest: str, now: Now) -> bool:
        """Return whether a token with this digest is good."""
        return self._tokens.good(digest, now.wall) is not None

    def has_cp_token(self, cp_id: str, now: Now) -> bool:
        """Return whether a charging point has a good token."""
        return bool(self._tokens.of_holder(f"cp {cp_id}", now.wall))

    def password_hash_of(self, user: str) -> str | None:
        """Return the hash of a user's password; None: nobody has this name."""
        found = self.user(user)
        return found.password_hash if found is not None else None

    def is_known_address(self, user: str, address: str, now: Now) -> bool:
        """Return whether this user has logged in from there within 30 days."""
        return self.user(user) is not None and self._logins.is_known(user, address, now.wall)

    def begin_login(self, user: str, address: str, now: Now) -> float | None:
        """Count a try before its password is looked at; None: go on, else the seconds to wait."""
        is_known = self.is_known_address(user, address, now)
        return self._throttle.begin(user, address, is_known=is_known, now_s=now.mono_s)

    def cancel_login(self, user: str, address: str, now: Now) -> None:
        """Give back a try that was counted, and whose password nobody looked at."""
        is_known = self.is_known_address(user, address, now)
        self._throttle.give_back(user, address, is_known=is_known)

    def would_refuse(self, kind: str, name: str, address: str, why: str, now: Now) -> None:
        """Note somebody who was let in and would not be with --auth required."""
        self._unready.add(Unready(kind, name, address, why, 1, now.wall))

    def unready(self, now: Now) -> list[Unready]:
        """Return those that were noted lately, and were not seen with a good token since."""
        return self._unready.lately(now.wall)

    def export(self) -> AccessCopy:
        """Return a copy for another Central, or for this one with its database lost."""
        users = sorted(self._users.values(), key=lambda user: user.name)
        return AccessCopy(users, self._tokens.all)

    def take_used(self) -> list[AccessRow]:
        """Return the rows of what was used since, as they are to be written."""
        rows, self._used = [*self._used.values()], {}
        return rows

    def _note_used(self, *rows: AccessRow) -> None:
        for row in rows:
            if isinstance(row, AccessToken | Login):
                self._used[type(row), row.digest] = row
            if isinstance(row, AccessToken) and row.revoked_at is not None:
                self.generation += 1

    def sweep(self, now: Now) -> list[AccessRow]:
        """Drop the logins, known addresses and revoked tokens whose time is over."""
        # A token may have expired meanwhile: it is good no more either.
        self.generation += 1
        return [*self._logins.sweep(now.wall), *self._tokens.sweep(now.wall)]

    def add_user(self, name: str, password_hash: str, role: Role, now: Now) -> list[AccessRow]:
        """Take a new user, or one who was removed once."""
        if self.user(name) is not None:
            raise NotDone(f"user {name} exists already", "user")
        if len(self._users) >= USERS_MAX and name not in self._users:
            raise NotDone(f"Central keeps {USERS_MAX} users, and may keep no more", "user")
        return [self._put_user(User(name, role, password_hash, now.wall))]

    def set_password(self, name: str, password_hash: str, now: Now) -> list[AccessRow]:
        """Give a user another password; it must log in anew."""
        user = self._known(name)
        changed = attrs.evolve(user, password_hash=password_hash, changed_at=now.wall)
        return [self._put_user(changed), *self._logins.end_of_user(name)]

    def set_role(self, name: str, role: Role, now: Now) -> list[AccessRow]:
        """Give a user another role; it must log in anew."""
        user = self._known(name)
        if user.role is role:
            return []
        self._check_admins_without(user, "be given another role")
        changed = attrs.evolve(user, role=role, changed_at=now.wall)
        return [self._put_user(changed), *self._logins.end_of_user(name)]

    def remove_user(self, name: str, now: Now) -> list[AccessRow]:
        """Let a user in no more."""
        user = self._known(name)
        self._check_admins_without(user, "be removed")
        gone = attrs.evolve(user, password_hash="", removed_at=now.wall)
        return [
            self._put_user(gone),
            *self._logins.end_of_user(name),
            *self._logins.forget_user(name),
        ]

    def _known(self, name: str) -> User:
        user = self.user(name)
        if user is None:
            raise NotDone(f"no user {name} is known", "user", is_unknown=True)
        return user

    def _check_admins_without(self, user: User, what: str) -> None:
        admins = [each.name for each in self.users() if each.role is Role.ADMIN]
        if admins == [user.name]:
            raise NotDone(f"{user.name} is the last admin and can't {what}", "user")

    def _put_user(self, user: User) -> User:
        self._users[user.name] = user
        self.generation += 1
        return user

    def add_token(
        self, name: str, role: Role, digest: str, driver_id: str | None, days: int, now: Now
    ) -> tuple[AccessToken, list[AccessRow]]:
        """Take a new token with a name of its own, good for `days`; 0: without an end."""
        if role is Role.MONITOR:
            raise NotDone("a charging point's token is made for it by its cp_id", "role")
        if (role is Role.DRIVER) is not (driver_id is not None):
            raise NotDone("goes with the role driver alone, and it needs one", "driver_id")
        expires_at = now.wall + timedelta(days=days) if days else None
        token = AccessToken(digest, name, role, now.wall, driver_id, None, expires_at)
        return token, [*self._tokens.add(token, now.wall)]

    def issue_cp_token(
        self, cp_id: str, digest: str, now: Now, *, at_once: bool
    ) -> list[AccessRow]:
        """Give a charging point its next token."""
        token = AccessToken(digest, cp_id, Role.MONITOR, now.wall, cp_id=cp_id)
        return self._revoking(self._tokens.issue(token, now.wall, at_once=at_once))

    def issue_driver_token(
        self, driver_id: str, digest: str, now: Now, *, at_once: bool
    ) -> list[AccessRow]:
        """Give a driver its next token."""
        token = AccessToken(digest, driver_id, Role.DRIVER, now.wall, driver_id)
        return self._revoking(self._tokens.issue(token, now.wall, at_once=at_once))

    def revoke_token(self, name: str, now: Now) -> list[AccessRow]:
        """Make the token with this name good for nothing; of a charging point, both of its two."""
        found = self._tokens.of_name(name, now.wall)
        if not found:
            raise NotDone(f"no token {name} is known", "name", is_unknown=True)
        if len({token.holder for token in found}) > 1:
            raise NotDone(f"{name} is the name of a charging point and of another token", "name")
        return self._revoking(self._tokens.revoke(found, now.wall))

    def revoke_cp_token(self, cp_id: str, now: Now) -> list[AccessRow]:
        """Make the tokens of a charging point good for nothing; there may be none."""
        found = self._tokens.of_holder(f"cp {cp_id}", now.wall)
        return self._revoking(self._tokens.revoke(found, now.wall))

    def remove_driver(self, driver_id: str, now: Now) -> list[AccessRow]:
        """Make every token of a driver good for nothing."""
        found = self._tokens.of_driver(driver_id, now.wall)
        if not found:
            raise NotDone(f"driver {driver_id} has no token", "driver_id", is_unknown=True)
        return self._revoking(self._tokens.revoke(found, now.wall))

    def _revoking(self, tokens: Sequence[AccessToken]) -> list[AccessRow]:
        """Return these rows, and the ends of the logins by those that were revoked."""
        ended: list[AccessRow] = []
        for token in tokens:
            # A use that is still to be written must not make it good again.
            self._used.pop((AccessToken, token.digest), None)
            if token.revoked_at is not None:
                ended += self._logins.end_of_token(token.digest)
                self.generation += 1
        return [*tokens, *ended]

    def log_in(
        self, user: str, token_digest: str, checked_hash: str, login: str, address: str, now: Now
    ) -> tuple[LoggedIn | None, list[AccessRow]]:
        """Begin a login (the digest of its cookie) of one whose password or token was right.

        None where the user or the token is good no more, or has got another password meanwhile.
        """
        self.cancel_login(user, address, now)
        found = self.user(user) if user else None
        if found is not None and checked_hash not in ("", found.password_hash):
            return None, []
        expires_at = now.wall + LASTS
        row = Login(
            login,
            now.wall,
            expires_at,
            now.wall,
            address,
            found.name if found is not None else None,
            token_digest or None,
        )
        if (found is None) is (not token_digest):
            return None, []
        caller = self._caller_of_login(row, address, now)
        if caller is None or caller.role is Role.MONITOR:
            return None, []
        return LoggedIn(caller, expires_at), [*self._logins.begin(row)]

    def log_out(self, digest: str) -> list[AccessRow]:
        """End a login."""
        self.generation += 1
        self._used.pop((Login, digest), None)
        return [*self._logins.end(digest)]

    def take_copy(
        self, copy: AccessCopy, now: Now, *, apply: bool
    ) -> tuple[ImportOutcome, list[AccessRow]]:
        """Make good here what a copy has; not `apply`: only say what that would be."""
        users, tokens, outcome = importable(copy, self._users, self._tokens)
        after = {**self._users, **{user.name: user for user in users}}
        had_admin, has_admin = (
            any(each.role is Role.ADMIN and each.removed_at is None for each in some.values())
            for some in (self._users, after)
        )
        if had_admin and not has_admin:
            raise NotDone("no admin would be left", "access")
        if not apply:
            return outcome, []
        rows: list[AccessRow] = []
        for user in users:
            rows += [self._put_user(user), *self._logins.end_of_user(user.name)]
        rows += self._revoking([self._tokens.take(token) for token in tokens])
        return outcome, rows
