"""Runs that are opened in a generator: what is current in its steps, between them, and in what its steps start.

Python has one set of context variables for a generator and for whoever iterates it. A variable that the generator sets
is still set while the generator is suspended, and is not set where its next step runs in another context. So for a run
whose ``with`` block is in a generator, the stack decides:

    the generator is on the stack        its run is current: what the variable holds, if that is of the run, else what
                                         the generator made current last
    it is suspended at a yield           its run is not current, though the variable may hold a span of it
    it is in a step on another thread,   the code was started by the step, with a copy of its variables: the run is
    or awaits something in a step        current, from then on also while the generator is suspended

The same holds for a span that a generator activates. A generator that is a context manager, such as a fixture of
pytest's or a function with ``contextlib.contextmanager``, owns nothing; who enters it does. The native half asks this
module only while a generator owns something. (docs/decisions/0021)
"""

from __future__ import annotations

import sys
from _weakref import ref
from contextvars import ContextVar

from ._load import native

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from ._native import SpanContext

MOST_OWNED = 4096
"""How many runs of generators are kept at the most; then the oldest is taken for one that no generator opened."""

SUSPENDED = (
    "AG2 runs while a callboard run is suspended: its telemetry_context was opened in a generator that is at a yield. "
    "What happens between the generator's steps is not recorded in that run. To record it there, keep the context in a "
    "variable, run = telemetry_context(...), and write `with run.step():` around it"
)
ELSEWHERE = (
    "a telemetry_context was entered in one thread or task and left in another, and its run was not current between. "
    "Keep the context in a variable, run = telemetry_context(...), and write `with run.step():` where something is to "
    "be recorded. FastAPI enters a dependency in this way if it has a yield and is no async function"
)

_GENERATORS = 0x20 | 0x200  # CO_GENERATOR and CO_ASYNC_GENERATOR, of inspect, which takes long to import

_ENTERING = {"__enter__", "__aenter__", "_run_tests_and_fixtures"}
"""Functions that enter a context manager for their caller; the last one is of anyio's plugin for pytest."""

_ENTERING_MODULES = {"contextlib", "_pytest.fixtures", "pytest_asyncio.plugin"}


class Owned:
    """What a generator made current: a run that it opened, or a span that it activated. It keeps neither alive."""

    __slots__ = ("anchor", "anchor_id", "code", "frame_id", "generator", "innermost", "is_async", "run_id")

    def __init__(self, generator: Any, frame: FrameType, anchor: SpanContext) -> None:
        self.code = frame.f_code
        self.frame_id = id(frame)  # The frame is the same object for as long as the generator has not ended.
        self.generator = ref(generator)
        self.is_async = hasattr(generator, "ag_frame")
        self.run_id = anchor._run_id
        self.anchor = ref(anchor)
        self.anchor_id = anchor.core_span_id
        self.innermost = self.anchor
        """What became current last, in the generator."""

    def is_of(self, frame: FrameType) -> bool:
        """Whether a frame is the generator's."""
        generator = self.generator()
        if generator is None:  # It is being closed by the garbage collector, which clears references first.
            return id(frame) == self.frame_id and frame.f_code is self.code
        return frame is getattr(generator, "ag_frame" if self.is_async else "gi_frame")

    def is_in_step(self) -> bool:
        """Whether the generator runs, or awaits something, and is not suspended at a yield."""
        return bool(getattr(self.generator(), "ag_running" if self.is_async else "gi_running", False))

    def open_span(self) -> SpanContext | None:
        """Return the innermost open span of the run that became current in the generator."""
        span = self.innermost() or self.anchor()
        while span is not None and (span.ended or span._run_id != self.run_id):
            span = span._previous
        return span


class Activated:
    """A span that was made current by name, in this context."""

    __slots__ = ("anchor_id", "before", "governing", "is_left", "outer", "owner")

    def __init__(
        self,
        anchor_id: str | None,
        governing: Owned | None,
        owner: Owned | None = None,
        before: SpanContext | None = None,
        outer: Activated | None = None,
    ) -> None:
        self.anchor_id = anchor_id
        self.governing = governing
        """What governed the stack then."""
        self.owner = owner
        """Of the generator that did it."""
        self.before = before
        self.outer = outer
        self.is_left = False


_by_run: dict[str | None, Owned] = {}
"""The runs that generators opened."""

_by_frame: dict[int, list[Owned]] = {}
"""What a generator made current, the innermost last."""

_activated: ContextVar[Activated | None] = ContextVar("callboard_activated", default=None)

_warned: set[str] = set()


def opened(root: SpanContext, frame: FrameType | None) -> None:
    """Note that a run begins; `frame` is the one that enters its context."""
    owned = _own(root, frame)
    if owned is None:
        return
    if len(_by_run) >= MOST_OWNED:
        _disown(next(iter(_by_run.values())))
    _by_run[owned.run_id] = owned


def closed(root: SpanContext) -> None:
    """Note that a run's context is left."""
    _disown(_by_run.get(root._run_id))


def activate(span: SpanContext, before: SpanContext | None) -> Activated | None:
    """Note that a span is made current by name where `before` was; gives what `deactivate` is to be given."""
    frame: FrameType | None = sys._getframe(1)
    owner = _own(span, frame)
    outer = _activated.get()
    _activated.set(Activated(span.core_span_id, _governing(frame), owner, before, outer))
    return _activated.get()


def deactivate(activated: Activated) -> tuple[bool, SpanContext | None]:
    """Take back what `activate` did; return whether another span is to be current here now, and which.

    Activations may be left in another order than they were entered in, as by generators that take turns. Then the last
    one that is left restores what was current before them all.
    """
    _disown(activated.owner)
    activated.is_left = True
    if _activated.get() is not activated:
        return False, None
    before, outer = activated.before, activated.outer
    while outer is not None and outer.is_left:
        before, outer = outer.before, outer.outer
    _activated.set(outer)
    return True, before


def became_current(span: SpanContext) -> None:
    """Note that a span has become current."""
    governing = _governing(sys._getframe(1), has_loop=False)
    if governing is not None and span._run_id == governing.run_id:
        governing.innermost = ref(span)


def current(held: SpanContext | None, is_recorded: bool) -> SpanContext | None:
    """Decide which span is current, where the context variable has `held`.

    `is_recorded`: something is about to be recorded.
    """
    governing = _governing(sys._getframe(1))
    span, named = _by_name(held, governing)
    while span is not None and not _is_within(span, named):
        owned = _by_run.get(span._run_id)
        if owned is None or owned is governing:
            break
        if owned.is_in_step():
            if governing is None:  # Started by the step, with a copy of its variables.
                _activated.set(Activated(owned.anchor_id, None))
            break
        span = _open_outside(span)
    if governing is not None and not _is_within(span, named) and not _is_within(span, governing.anchor_id):
        return governing.open_span() or span
    if is_recorded and span is None and held is not None:
        _warn(SUSPENDED)
    return span


def is_elsewhere(root: SpanContext) -> bool:
    """Whether a run is about to be left where it is not current, without a span of it having been activated."""
    if root.ended or root._is_carried or root._run_id in _by_run:
        return False
    return not _is_within(native.current_span(), root.core_span_id)


def warn_of_elsewhere() -> None:
    """Warn, once in a process, of a run that was left elsewhere than it was entered."""
    _warn(ELSEWHERE)


def _by_name(held: SpanContext | None, governing: Owned | None) -> tuple[SpanContext | None, str | None]:
    """Return what is held apart from what suspended generators activated, and the activated span that counts."""
    span, activated = held, _activated.get()
    while activated is not None and activated.owner is not None and activated.owner is not governing:
        if activated.owner.is_in_step():
            if governing is None:  # Started by the step, with a copy of its variables.
                _activated.set(Activated(activated.anchor_id, None))
            break
        if _is_within(span, activated.anchor_id):
            span = _open(activated.before)
        activated = activated.outer
    if activated is None or (governing is not None and activated.governing is not governing):
        return span, None  # A generator was entered since.
    return span, activated.anchor_id


def _own(anchor: SpanContext, frame: FrameType | None) -> Owned | None:
    owner = _owner(frame)
    generator = None if owner is None else _generator_of(owner)
    if owner is None or generator is None:
        return None
    owned = Owned(generator, owner, anchor)
    _by_frame.setdefault(owned.frame_id, []).append(owned)
    native.ask_generators(True)
    return owned


def _disown(owned: Owned | None) -> None:
    if owned is None:
        return
    if _by_run.get(owned.run_id) is owned:
        del _by_run[owned.run_id]
    of_frame = _by_frame.get(owned.frame_id, [])
    if owned in of_frame:
        of_frame.remove(owned)
    if not of_frame:
        _by_frame.pop(owned.frame_id, None)
    native.ask_generators(bool(_by_frame))


def _governing(frame: FrameType | None, has_loop: bool = True) -> Owned | None:
    """Return what the innermost generator on the stack made current; without `has_loop`, unless it runs an event loop.

    The tasks of a loop have variables of their own.
    """
    while frame is not None:
        if not has_loop and str(frame.f_globals.get("__name__")).startswith("asyncio."):
            return None
        owned = _by_frame.get(id(frame))
        if owned and owned[-1].is_of(frame):
            return owned[-1]
        frame = frame.f_back
    return None


def _is_within(span: SpanContext | None, anchor_id: str | None) -> bool:
    """Whether a span is this one, or became current within it."""
    while span is not None:
        if span.core_span_id == anchor_id:
            return True
        span = span._previous
    return False


def _open(span: SpanContext | None) -> SpanContext | None:
    """Return the span if it is open, else the nearest open one that was current before it."""
    while span is not None and span.ended:
        span = span._previous
    return span


def _open_outside(span: SpanContext) -> SpanContext | None:
    """Return the nearest open span that was current before the run of this one."""
    outside = span._previous
    while outside is not None and (outside.ended or outside._run_id == span._run_id):
        outside = outside._previous
    return outside


def _owner(frame: FrameType | None) -> FrameType | None:
    """Return the frame that a context is entered for, if it is a generator's."""
    while frame is not None:
        if frame.f_code.co_flags & _GENERATORS:
            if frame.f_back is None or not _enters_for_another(frame.f_back):
                return frame
        elif not _enters_for_another(frame):
            return None
        frame = frame.f_back
    return None


def _enters_for_another(frame: FrameType) -> bool:
    return frame.f_code.co_name in _ENTERING or frame.f_globals.get("__name__") in _ENTERING_MODULES


def _generator_of(frame: FrameType) -> Any:
    """Return the generator that a frame is of; None where this Python does not say."""
    generator = getattr(frame, "f_generator", None) or native.generator_of(frame)
    if generator is not None:
        return generator
    import gc

    for referrer in gc.get_referrers(frame):
        if frame in (getattr(referrer, "gi_frame", None), getattr(referrer, "ag_frame", None)):
            return referrer
    return None


def _warn(message: str) -> None:
    """Warn once in a process, of the program's line."""
    if message in _warned:
        return
    _warned.add(message)
    import logging
    import warnings
    from contextlib import suppress

    logging.getLogger("callboard").warning(message)
    level = 2
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "callboard":
        level, frame = level + 1, frame.f_back
    with suppress(RuntimeWarning):  # Where the program makes errors of warnings, the log has it.
        warnings.warn(message, RuntimeWarning, stacklevel=level)
