"""What happens when callboard's own code fails inside a program: nothing that the program could notice."""

from __future__ import annotations

import logging
from types import TracebackType

from callboard._interrupts import belongs_to_program

logger = logging.getLogger("callboard.ag2")

_reported: set[str] = set()


def report(place: str, error: BaseException) -> None:
    """Log what our code raised, once a place: a fault may come back with every message."""
    if place not in _reported:
        _reported.add(place)
        logger.warning("callboard could not record %s; the program is not affected", place, exc_info=error)


def contain(place: str, error: BaseException) -> None:
    """Report what our code raised, in an `except` clause; raise it again if it belongs to the program.

    A signal handler's exception may be raised in the midst of our code.
    """
    if not _is_contained(place, error):
        raise error


class guard:
    """`with guard("a reply"):` runs our own code; what it raises is reported and goes no further.

    An exception that belongs to the program passes.
    """

    __slots__ = ("place",)

    def __init__(self, place: str) -> None:
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        return error is not None and _is_contained(self.place, error)


def _is_contained(place: str, error: BaseException) -> bool:
    """Whether an exception goes no further, as it was reported; not if it belongs to the program."""
    if isinstance(error, RecursionError):
        return True  # There may be no room on the stack to report it.
    if belongs_to_program(error):
        return False
    report(place, error)
    return True
