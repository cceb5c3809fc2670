"""Instrumenting AG2, classic and 1.x: by hand, or by every run while it lasts.

A failure here costs the telemetry, never the program.
"""

from __future__ import annotations

import sys

from ._interrupts import belongs_to_program, pass_on
from ._load import process_lock

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from types import ModuleType


def instrument_ag2() -> bool:
    """Instruments AG2, classic and 1.x, until `uninstrument_ag2`; without a run it records nothing.

    Calling it again changes nothing. Where AG2 is not loaded yet, it is instrumented when it is.

    Returns:
        Whether AG2 is, or will be once loaded, instrumented: False means a failure, which was logged.

    """
    try:
        with process_lock:
            for installation in _installations():
                installation.instrument()
    except Exception as error:
        _contain(error, "AG2 could not be instrumented; the program goes on without its spans")
        return False
    return True


def uninstrument_ag2() -> None:
    """Takes back what `instrument_ag2` did: every object is as it was, once no run needs the instrumentation either."""
    try:
        with process_lock:
            for installation in _installations():
                installation.uninstrument()
    except Exception as error:
        _contain(error, "AG2's instrumentation could not be taken back whole")


def acquire() -> None:
    """A run begins that needs the instrumentation."""
    acquired = []
    try:
        with process_lock:
            for installation in _installations():
                acquired.append(installation)
                installation.acquire()
    except BaseException as error:
        if belongs_to_program(error):  # The run does not begin.
            for installation in acquired:
                installation.release()
            raise
        _warn("AG2 could not be instrumented; the program goes on without its spans")


def release() -> None:
    """A run ended; the last one to end takes the instrumentation back."""
    if sys.is_finalizing():  # A generator that is closed now ends its run when the modules are gone, AG2's too.
        return
    try:
        with process_lock:
            for installation in _installations():
                installation.release()
    except Exception as error:
        _contain(error, "AG2's instrumentation could not be taken back whole")


def _installations() -> tuple[ModuleType, ...]:
    """What is installed and taken back together: the hooks of both AG2s, and those beside either."""
    from . import ag2, ag2_v1, traces

    return ag2, ag2_v1, traces


def _contain(error: Exception, message: str) -> None:
    """Log the exception being handled; raise it again if it belongs to the program."""
    pass_on(error)
    _warn(message)


def _warn(message: str) -> None:
    """Log the exception being handled."""
    import logging  # here, as it takes longer to import than the whole package

    logging.getLogger("callboard").warning(message, exc_info=True)
