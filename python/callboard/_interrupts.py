"""Exceptions of the program that surface in callboard's own code.

Python runs a signal handler between two lines of whatever the main thread executes, and raises there what another
thread sends. When that line is callboard's, the exception still belongs to the program: callboard must let it pass.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from types import CodeType, FrameType, TracebackType
    from typing import Any

_PACKAGE = __name__.partition(".")[0]
_TAKES_MORE = 0x04  # inspect.CO_VARARGS


def belongs_to_program(error: BaseException) -> bool:
    """Whether an exception that callboard's code caught was raised by a signal handler, or sent by another thread.

    `KeyboardInterrupt`, `SystemExit` and whatever else is no `Exception` always belong to the program. A handler's
    exception has the handler's frame in its traceback.
    """
    if not isinstance(error, Exception):
        return True
    return _has_handler(error.__traceback__) or _was_sent(error)


def pass_on(error: BaseException) -> None:
    """Raise an exception again if it belongs to the program: in an `except` clause for what our own code may raise."""
    if belongs_to_program(error):
        raise error


def is_main_thread() -> bool:
    """Whether this thread is the one that signal handlers run in."""
    threading = sys.modules.get("threading")
    return threading is None or threading.main_thread().ident == threading.get_ident()


def _has_handler(trace: TracebackType | None) -> bool:
    import signal  # here, as nearly no program gets here

    codes = {_code_of(signal.getsignal(number)) for number in signal.valid_signals()} - {None}
    while trace is not None:
        if trace.tb_frame.f_code in codes or _is_handler(trace.tb_frame):
            return True
        trace = trace.tb_next
    return False


def _code_of(handler: Any) -> CodeType | None:
    """The code that a handler runs: a function's, a method's, a `partial`'s, a callable object's. None for one in C."""
    handler = getattr(handler, "func", handler)
    if not hasattr(handler, "__code__") and callable(handler):
        handler = type(handler).__call__
    code: CodeType | None = getattr(handler, "__code__", None)
    return code


def _is_handler(frame: FrameType) -> bool:
    """Whether a frame is called as handlers are: with a number and the frame that it interrupts.

    That recognizes a handler that the program has replaced since.
    """
    import itertools

    code, values = frame.f_code, frame.f_locals
    given = [values.get(name) for name in code.co_varnames[: code.co_argcount]]
    if code.co_flags & _TAKES_MORE:
        given += values.get(code.co_varnames[code.co_argcount + code.co_kwonlyargcount], ())
    pairs = itertools.pairwise(given)
    return any(isinstance(number, int) and other is frame.f_back is not None for number, other in pairs)


def _was_sent(error: Exception) -> bool:
    """Whether another thread sent an exception, by `PyThreadState_SetAsyncExc`.

    Python makes such an exception of a class alone, so it has no arguments unless the class gives it some, and no
    `raise` statement raised it. What fails in callboard's own lines was raised by C code, which gives it a message.
    """
    trace = error.__traceback__
    if trace is None or isinstance(error, (StopIteration, StopAsyncIteration, MemoryError)):
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    if _raises(frame.f_code, trace.tb_lasti):
        return False
    is_ours = frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE
    return not error.args or (is_ours and _gives_arguments(type(error)))


def _gives_arguments(cls: type[Exception]) -> bool:
    """Whether a class of the program's may give its exceptions arguments of their own, as code in Python makes them."""
    if cls.__module__.partition(".")[0] == _PACKAGE:
        return False
    makers = (vars(base).get(name) for base in cls.__mro__ for name in ("__init__", "__new__"))
    return any(hasattr(getattr(maker, "__func__", maker), "__code__") for maker in makers)


def _raises(code: CodeType, place: int) -> bool:
    """Whether the instruction at a place is a `raise` statement's."""
    import opcode

    return opcode.opname[code.co_code[place]] in ("RAISE_VARARGS", "RERAISE")
