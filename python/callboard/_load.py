"""Load the native half, tie it to the interpreter's life, and stand in for it where it cannot be loaded."""

from __future__ import annotations

import atexit
import os
import sys
from _thread import RLock

from .kinds import EventKind, SpanKind

__all__ = ["native"]

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from . import _native as native
else:
    try:
        from . import _native as native
    except ImportError as error:
        if "subinterpreter" not in str(error):
            raise
        from . import _inert as native

EXIT_SECONDS = 5.0
"""How long the interpreter's exit waits for providers at the most, those left out that a context waited for in vain."""

process_lock = RLock()
"""Held while callboard changes what all threads share: its own modules, as they are imported, and AG2's.

A fork waits for it, for a while: what is held or half imported at that moment stays so in the child for good.
"""

FORK_WAIT_SECONDS = 5.0
"""How long a fork waits for it at the most: its holder may itself be waiting for the thread that forks."""


def prepare_exit() -> None:
    """See to it that the interpreter's exit delivers everything; the native half calls it at the first manager."""
    import logging  # noqa: F401 - its exit handler, set before ours, runs after ours, which may have something to say

    atexit.register(native.shutdown_all, EXIT_SECONDS)


def _before_fork() -> None:
    process_lock.acquire(timeout=FORK_WAIT_SECONDS)
    native.before_fork()


def _after_fork() -> None:
    try:  # noqa: SIM105 - contextlib would cost each import of callboard more than all this
        process_lock.release()
    except RuntimeError:
        pass  # It is not held where it did not come free in time.


def _after_fork_in_parent() -> None:
    native.after_fork_in_parent()
    _after_fork()


def _after_fork_in_child() -> None:
    native.after_fork_in_child()
    _after_fork()
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        # A worker clears its finalizers at its start, and only then runs what is registered like this.
        util.register_after_fork(native, _finish_with_the_worker)


def _finish_with_the_worker(_native: object = None) -> None:
    """Arrange for a worker of `multiprocessing`, which may end without an interpreter exit, to finish."""
    util = sys.modules["multiprocessing.util"]
    util.Finalize(None, native.flush_all, args=(EXIT_SECONDS,), exitpriority=10)


def _is_worker() -> bool:
    process = sys.modules.get("multiprocessing.process")
    return process is not None and process.parent_process() is not None


native.set_kind_classes(SpanKind, EventKind)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
if "multiprocessing.util" in sys.modules:
    # A worker of a fork server imports this before it is set up, and is cleared of its finalizers then.
    sys.modules["multiprocessing.util"].register_after_fork(native, _finish_with_the_worker)
    if _is_worker():
        _finish_with_the_worker()
