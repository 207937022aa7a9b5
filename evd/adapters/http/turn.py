"""Several servers of which one serves: the order in which a client tries them."""

from collections.abc import Iterator, Sequence
from typing import Final, Generic, TypeVar

# For a server among several to take a connection: a host without power never does.
CONNECT_S_MAX: Final = 2.0

T = TypeVar("T")


class Turn(Generic[T]):
    """All of `every` in turn, first the one that served last; `first` says where to begin."""

    def __init__(self, every: Sequence[T], first: int = 0) -> None:
        self._every = tuple(every)
        self._at = first

    @property
    def present(self) -> T:
        """The one that served last, or will be tried first."""
        return self._every[self._at]

    @property
    def several(self) -> bool:
        """Whether there is another one to go on to."""
        return len(self._every) > 1

    def __iter__(self) -> Iterator[T]:
        """Each once."""
        return iter((*self._every[self._at :], *self._every[: self._at]))

    def served(self, one: T) -> None:
        """Begin with this one from now on."""
        self._at = self._every.index(one)
