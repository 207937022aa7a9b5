"""The tokens: which are good, for whom, and how one takes the place of another.

A charging point or a driver has at most two that are good: the newest, and the one before until the
newest was used.  A revoked one is kept, so that no older copy makes it good again.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import attrs

from evd.core.access.refusals import NotDone
from evd.core.access.rows import AccessToken, TokenEnd

TOKENS_MAX = 100_000
# Revoked ones are kept for so long, and no longer than there is room for them.
REVOKED_FOR = timedelta(days=730)
REVOKED_MAX = 50_000
# How far `used_at` may be behind: each use would else be a row.
USED_STEP = timedelta(hours=1)
_TICK = timedelta(microseconds=1)


class TokenBook:
    """Every token, by its digest.  A verb returns the rows that it changed."""

    def __init__(self, tokens: Iterable[AccessToken]) -> None:
        self._tokens: dict[str, AccessToken] = {}
        self._by_name: dict[str, set[str]] = defaultdict(set)
        self._by_holder: dict[str, set[str]] = defaultdict(set)
        for token in tokens:
            self._put(token)

    def _put(self, token: AccessToken) -> AccessToken:
        self._tokens[token.digest] = token
        self._by_name[token.name].add(token.digest)
        if token.holder is not None:
            self._by_holder[token.holder].add(token.digest)
        return token

    @property
    def all(self) -> list[AccessToken]:
        """Every token, the revoked ones too, by name and then by age."""
        return sorted(self._tokens.values(), key=lambda each: (each.name, each.created_at))

    def get(self, digest: str) -> AccessToken | None:
        """Return the token with this digest, good or not."""
        return self._tokens.get(digest)

    def good(self, digest: str, wall: datetime) -> AccessToken | None:
        """Return the token with this digest, if it is good."""
        token = self._tokens.get(digest)
        return token if token is not None and token.is_good(wall) else None

    def of_holder(self, holder: str, wall: datetime) -> list[AccessToken]:
        """Return the good tokens of a charging point or a driver, the newest last."""
        return self._good(self._by_holder.get(holder, ()), wall)

    def of_name(self, name: str, wall: datetime) -> list[AccessToken]:
        """Return the good tokens with this name."""
        return self._good(self._by_name.get(name, ()), wall)

    def of_driver(self, driver_id: str, wall: datetime) -> list[AccessToken]:
        """Return every good token by which somebody is this driver."""
        return [
            token
            for token in self._tokens.values()
            if token.driver_id == driver_id and token.is_good(wall)
        ]

    def _good(self, digests: Iterable[str], wall: datetime) -> list[AccessToken]:
        found = (self._tokens[each] for each in digests)
        good = [token for token in found if token.is_good(wall)]
        return sorted(good, key=lambda token: token.created_at)

    def add(self, token: AccessToken, wall: datetime) -> list[AccessToken]:
        """Take a token with a name of its own."""
        self._check_new(token)
        if self.of_name(token.name, wall):
            raise NotDone(f"name {token.name} is a token's already", "name")
        return [self._put(token)]

    def issue(self, token: AccessToken, wall: datetime, *, at_once: bool) -> list[AccessToken]:
        """Give a charging point or a driver its next token.

        The one before stays good until this one is used, unless this is to hold `at_once`.
        """
        before = self.of_holder(token.holder or "", wall)
        if token.digest in [each.digest for each in before]:
            # Put in again, as from a vault: nothing is new.
            ended = [each for each in before if at_once and each.digest != token.digest]
            return self.revoke(ended, wall)
        self._check_new(token)
        ended = before
        if not at_once and before:
            # The one in use is the older of two: the newer never came to its host.
            kept = next((each for each in before if each.used_at is not None), before[-1])
            ended = [each for each in before if each is not kept]
            token = attrs.evolve(
                token, created_at=max(token.created_at, before[-1].created_at + _TICK)
            )
        return [*self.revoke(ended, wall), self._put(token)]

    def _check_new(self, token: AccessToken) -> None:
        known = self._tokens.get(token.digest)
        if known is not None and known.revoked_at is not None:
            raise NotDone("this token was revoked", "token")
        if known is not None:
            raise NotDone("this token is another one's already", "token")
        if len(self._tokens) >= TOKENS_MAX:
            raise NotDone(f"Central keeps {TOKENS_MAX} tokens, and may keep no more", "token")

    def revoke(self, tokens: Sequence[AccessToken], wall: datetime) -> list[AccessToken]:
        """Make these good for nothing."""
        return [self._put(attrs.evolve(token, revoked_at=wall)) for token in tokens]

    def sweep(self, wall: datetime) -> list[TokenEnd]:
        """Forget those that were revoked long ago, and of too many the oldest."""
        revoked = [
            (each.revoked_at, each.digest)
            for each in self._tokens.values()
            if each.revoked_at is not None
        ]
        revoked.sort()
        room = max(0, len(revoked) - REVOKED_MAX)
        return [
            self._forget(digest)
            for number, (when, digest) in enumerate(revoked)
            if number < room or wall - when >= REVOKED_FOR
        ]

    def _forget(self, digest: str) -> TokenEnd:
        token = self._tokens.pop(digest)
        self._by_name[token.name].discard(digest)
        if token.holder is not None:
            self._by_holder[token.holder].discard(digest)
        return TokenEnd(digest)

    def take(self, token: AccessToken) -> AccessToken:
        """Take a token as a copy has it."""
        return self._put(token)

    def use(self, token: AccessToken, wall: datetime) -> list[AccessToken]:
        """Note that a good token was shown; the rows are those that are to be written.

        A first use ends the token that it takes the place of.
        """
        if token.used_at is not None and wall - token.used_at < USED_STEP:
            return []
        changed = [self._put(attrs.evolve(token, used_at=wall))]
        if token.used_at is None and token.holder is not None:
            older = [
                each
                for each in self.of_holder(token.holder, wall)
                if each.created_at < token.created_at
            ]
            changed += self.revoke(older, wall)
        return changed

    def monitors_without(self, cp_ids: Iterable[str], wall: datetime) -> list[str]:
        """Return those of the charging points that have no good token."""
        return [cp_id for cp_id in cp_ids if not self.of_holder(f"cp {cp_id}", wall)]
