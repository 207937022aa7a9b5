"""The part of a copy of access that is news to a database, and may come into it.

The newer word about a user counts.  Who was removed and what was revoked here stays so, unless it
was made good again here: a copy of before can't tell.
"""

from collections.abc import Mapping
from datetime import datetime

import attrs

from evd.core.access.copy import AccessCopy
from evd.core.access.events import ImportOutcome
from evd.core.access.rows import AccessToken, User
from evd.core.access.token_book import TokenBook


def importable(
    copy: AccessCopy, users: Mapping[str, User], tokens: TokenBook
) -> tuple[list[User], list[AccessToken], ImportOutcome]:
    """Return the rows that are to be written for a copy, and what they mean."""
    new_users: list[User] = []
    new_tokens: list[AccessToken] = []
    user_names: list[str] = []
    token_names: list[str] = []
    stay: list[str] = []
    same_count = 0
    for user in copy.users:
        known = users.get(user.name)
        if _is_older(user, known):
            is_barred = known is not None and known.removed_at is not None
            if is_barred and user.removed_at is None:
                stay.append(user.name)
            else:
                same_count += 1
            continue
        new_users.append(user)
        if user.removed_at is None:
            user_names.append(user.name)
    for token in copy.tokens:
        before = tokens.get(token.digest)
        if before is not None and before.revoked_at is not None and token.revoked_at is None:
            stay.append(token.name)
        elif before is None:
            new_tokens.append(token)
            if token.revoked_at is None:
                token_names.append(token.name)
        elif token.revoked_at is not None and before.revoked_at is None:
            # Known as revoked to either side, it is revoked.
            new_tokens.append(attrs.evolve(before, revoked_at=token.revoked_at))
        else:
            same_count += 1
    outcome = ImportOutcome(user_names, token_names, stay, same_count)
    return new_users, new_tokens, outcome


def _is_older(user: User, known: User | None) -> bool:
    """Return whether what is known of a user is at least as new as what the copy says."""
    return known is not None and _newest(user) <= _newest(known)


def _newest(user: User) -> datetime:
    return max(user.changed_at, user.removed_at or user.changed_at)
