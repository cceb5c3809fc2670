"""Tracebacks as they are without callboard: a program's exception is shown without the frames of callboard's hooks.

The hooks stand between the frames of the program and those of AG2. What the program calls of callboard itself, its API,
is shown as any library's frames are.
"""

from __future__ import annotations

import builtins
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

HOOKS = ("callboard.ag2.", "callboard.ag2_v1.", "callboard.run.", "callboard.traces.")
"""How the names of the modules begin whose frames are left out."""

_Group: Any = getattr(builtins, "BaseExceptionGroup", ())
"""What holds several exceptions; Python 3.10 has none."""


def without_hooks(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without frames of hooks; the entries of the one given stay as they are."""
    entries = []
    while traceback is not None:
        entries.append(traceback)
        traceback = traceback.tb_next
    kept: TracebackType | None = None
    for entry in reversed(entries):
        if _is_of_hook(entry.tb_frame):
            continue
        is_shared = entry.tb_next is kept
        kept = entry if is_shared else TracebackType(kept, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return kept


@contextmanager
def hooks_left_out(error: BaseException, begin: TracebackType | None) -> Generator[TracebackType | None]:
    """Within it, the exception and those that it names have tracebacks without hooks; afterwards, their own again.

    `begin` is where the exception's traceback is to begin. Gives the exception's traceback.
    """
    whole = [(each, _field(each, "__traceback__")) for each in _with_named_ones(error)]
    try:
        for each, traceback in whole:
            BaseException.with_traceback(each, without_hooks(begin if each is error else traceback))
        yield _field(error, "__traceback__")
    finally:
        for each, traceback in whole:
            BaseException.with_traceback(each, traceback)


def _is_of_hook(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and f"{name}.".startswith(HOOKS)


def _with_named_ones(error: BaseException) -> list[BaseException]:
    """The exception, its causes and contexts, and the members of groups, each once."""
    found: dict[int, BaseException] = {}
    waiting = [error]
    while waiting:
        each = waiting.pop()
        if id(each) in found:
            continue
        found[id(each)] = each
        named = [_field(each, "__cause__"), _field(each, "__context__")]
        if isinstance(each, _Group):
            named += _Group.exceptions.__get__(each)
        waiting += [one for one in named if isinstance(one, BaseException)]
    return list(found.values())


def _field(error: BaseException, name: str) -> Any:
    """What an exception has under a name, whatever its class makes of it."""
    return BaseException.__getattribute__(error, name)
