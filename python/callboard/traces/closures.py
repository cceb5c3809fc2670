"""AG2's methods as they were before callboard came, where AG2's own tracing holds on to them.

`instrument_agent` gives an agent functions of its own, `initiate_chat` for example, each of which has kept the method
that it covers. A method that was kept before a run began is AG2's, not the one that the hooks watch, and a chat would
go by unseen. So while the hooks are in, what such a function kept is the watched method; then it is what it was.
"""

from __future__ import annotations

import gc
import sys
import weakref
from inspect import unwrap
from types import CellType, FunctionType, MethodType
from typing import Any

from callboard.ag2.patching import Patches, is_whole

TRACING = "autogen.opentelemetry"

_Led = tuple[weakref.ref[FunctionType], int, Any, Any]
"""A function of AG2's tracing, which of its cells was changed, the function of the method in it before and since."""


def install(patches: Patches) -> None:
    """Lead what AG2's own tracing has kept to the methods that are watched."""
    if not is_whole(TRACING):
        return
    led: list[_Led] = []
    for function in _functions():
        for place, cell in enumerate(function.__closure__ or ()):
            watched = _watched(cell)
            if watched is not None:
                kept = cell.cell_contents
                cell.cell_contents = MethodType(watched, kept.__self__)
                led.append((weakref.ref(function), place, kept.__func__, watched))
    patches.when_restored(lambda: _restore(led))


def _functions() -> list[FunctionType]:
    """Find the functions of AG2's tracing, those that it gave agents among them: each refers to its module's names."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(f"{TRACING}.")]
    referring = gc.get_referrers(*(vars(module) for module in modules))
    return [function for function in referring if type(function) is FunctionType]


def _watched(cell: CellType) -> Any:
    """Find what the method in a cell is now; None where there is none, or it is the one already."""
    try:
        kept = cell.cell_contents
    except ValueError:  # An empty one.
        return None
    if type(kept) is not MethodType or not isinstance(kept.__func__, FunctionType):
        return None
    for owner in type(kept.__self__).__mro__:
        now = vars(owner).get(kept.__func__.__name__)
        if isinstance(now, FunctionType) and unwrap(now) is unwrap(kept.__func__):
            return None if now is kept.__func__ else now
    return None


def _restore(led: list[_Led]) -> None:
    for reference, place, before, since in led:
        function = reference()
        cell = None if function is None else (function.__closure__ or ())[place]
        if cell is not None and getattr(cell.cell_contents, "__func__", None) is since:
            cell.cell_contents = MethodType(before, cell.cell_contents.__self__)
