"""`telemetry_context`: the block in which a program is one run."""

from __future__ import annotations

import sys

from . import _generators
from ._load import native
from .budget import ledger_of
from .content import policy
from .instrument import acquire, release

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any

    from ._native import InstrumentationManager, SpanContext
    from .content import Redact

EXIT_FLUSH_SECONDS = 5.0
"""How long leaving the context waits for providers at the most; they go on in the background."""


class telemetry_context:
    """Records what happens inside it as one run: ``with telemetry_context(manager, "Name") as telemetry:``.

    Entering starts the run and instruments AG2; leaving ends every span that is still open, and hands everything to the
    providers. ``async with`` does the same. An exception of the program passes unchanged, and is recorded.

    A generator may open a run: the run is current in the generator's steps, and not between them. `step` makes the run
    current somewhere else.

    Args:
        manager: what records the run.
        trace_name: the workflow's name. Default: ``AG2 Workflow``.
        trace_attributes: attributes of the WORKFLOW span.
        session: what the run is part of, a conversation of many runs for example: ``session.id``.
        user: for whom it runs: ``user.id``.
        tags: words to find it by: ``tag.tags``, as OpenInference calls it.
        capture_content: overrides the manager's, for this run.
        redact: overrides the manager's, for this run.
        traceparent: the span of another program that the run is begun in, as W3C's Trace Context names it: the header
            of that name of a request that a server answers. Default: the environment variable TRACEPARENT, if it is
            set, else the run begins a trace of its own.

    Raises:
        TypeError: ``manager`` is no InstrumentationManager, ``redact`` is nothing that redacts, or ``traceparent`` no
            text. A text that is no traceparent is ignored, with a word in the log.
        ValueError: ``capture_content`` is no number and no such word.

    """

    def __init__(
        self,
        manager: InstrumentationManager,
        trace_name: str | None = None,
        trace_attributes: dict[str, Any] | None = None,
        *,
        session: str | None = None,
        user: str | None = None,
        tags: Sequence[str] | None = None,
        capture_content: str | int | None = None,
        redact: Redact | None = None,
        traceparent: str | None = None,
    ) -> None:
        if not isinstance(manager, native.InstrumentationManager):
            raise TypeError(
                f"telemetry_context takes an InstrumentationManager, not {type(manager).__name__}: "
                "telemetry_context(InstrumentationManager(), 'My Workflow')"
            )
        self._manager = manager
        if traceparent is not None and not isinstance(traceparent, str):
            raise TypeError(f"traceparent must be a text or None, not {type(traceparent).__name__}")
        self._name = trace_name
        self._attributes = _with_marks(trace_attributes, session, user, tags)
        self._given: tuple[Any, ...] = ()
        if capture_content is not None or redact is not None or traceparent is not None:
            capture_content = manager.capture_content if capture_content is None else capture_content
            rules = policy(capture_content, manager.redact if redact is None else redact)
            self._given = (rules, traceparent)
        self._roots: list[SpanContext] = []
        self._warns = True

    def __enter__(self) -> InstrumentationManager:
        acquire()
        from .ag2.faults import guard  # here, as it imports logging

        self._guard = guard
        if self._given:
            root = self._manager._start_trace_under(self._name, self._attributes, *self._given)
        else:
            root = self._manager.start_trace(self._name, self._attributes)
        self._roots.append(root)
        with self._guard("a context"):
            _generators.opened(root, sys._getframe())
        ledger_of(root)  # A budget's seconds count from here.
        return self._manager

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(error)
        self._manager._flush_on_leaving(EXIT_FLUSH_SECONDS)

    def step(self) -> _Step:
        """Make the run current in a ``with`` block, in whatever thread or task: ``with run.step():``.

        ``run`` is the context object itself, ``run = telemetry_context(manager)``, which is entered and not left yet.
        A step is for code in which the run is not current by itself: the handler of a request whose dependency entered
        the context, or what happens between two steps of a generator. Outside of the run it does nothing.
        """
        return _Step(self._roots[-1] if self._roots else None)

    async def __aenter__(self) -> InstrumentationManager:
        return self.__enter__()

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(error)
        await self._flush_beside_other_tasks()

    async def _flush_beside_other_tasks(self) -> None:
        import asyncio

        flush = self._manager._flush_on_leaving
        try:
            flushed = asyncio.get_running_loop().run_in_executor(None, flush, EXIT_FLUSH_SECONDS)
        except RuntimeError:  # Not asyncio's loop, or one that takes no more work.
            flush(EXIT_FLUSH_SECONDS)
        else:
            # Bounded here too, as the executor may be busy with the program's own work.
            await asyncio.wait([flushed], timeout=EXIT_FLUSH_SECONDS)

    def _leave(self, error: BaseException | None) -> None:
        if not self._roots:
            return
        root = self._roots.pop()
        with self._guard("a context"):
            if self._warns and _generators.is_elsewhere(root):
                _generators.warn_of_elsewhere()
        root.end(error)
        with self._guard("a context"):
            _generators.closed(root)
        release()


class _Step:
    """See `telemetry_context.step`."""

    def __init__(self, root: SpanContext | None) -> None:
        self._activation = None if root is None else root.activate()

    def __enter__(self) -> None:
        if self._activation is not None:
            self._activation.__enter__()

    def __exit__(self, *error: object) -> None:
        if self._activation is not None:
            self._activation.__exit__(None, None, None)


def _with_marks(attributes: Any, session: Any, user: Any, tags: Any) -> Any:
    marks = {"session.id": session, "user.id": user, "tag.tags": None if tags is None else list(tags)}
    marks = {key: value for key, value in marks.items() if value is not None}
    return {**(attributes or {}), **marks} if marks else attributes


def get_current_telemetry() -> InstrumentationManager | None:
    """The manager whose run this is; None outside of every run."""
    span = native.current_span()
    return None if span is None else span.manager
