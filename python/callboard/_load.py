"""Loads the native half, ties it to the interpreter's life, and stands in for it where it cannot be loaded."""

from __future__ import annotations

import atexit
import os
import sys
from typing import TYPE_CHECKING

from .kinds import EventKind, SpanKind

if TYPE_CHECKING:
    from . import _native as native
else:
    try:
        from . import _native as native
    except ImportError as error:
        if "subinterpreter" not in str(error):
            raise
        from . import _inert as native

EXIT_SECONDS = 10.0
"""How long the interpreter's exit waits for providers at the most."""


def _after_fork_in_child() -> None:
    native.after_fork_in_child()
    if "multiprocessing.util" in sys.modules:
        # Its children end without an interpreter exit, and clear their finalizers before the target runs.
        util = sys.modules["multiprocessing.util"]
        util.register_after_fork(native, _flush_when_the_worker_ends)


def _flush_when_the_worker_ends(_native: object) -> None:
    util = sys.modules["multiprocessing.util"]
    util.Finalize(None, native.flush_all, args=(EXIT_SECONDS,), exitpriority=10)


native.set_kind_classes(SpanKind, EventKind)
atexit.register(native.shutdown_all, EXIT_SECONDS)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=native.before_fork,
        after_in_parent=native.after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
