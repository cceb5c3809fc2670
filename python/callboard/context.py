"""`telemetry_context`: the block in which a program is one run."""

from __future__ import annotations

from ._load import native
from .budget import ledger_of
from .instrument import acquire, release

TYPE_CHECKING = False  # not from typing, which takes longer to import than all of callboard
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from ._native import InstrumentationManager, SpanContext

EXIT_FLUSH_SECONDS = 5.0
"""How long leaving the context waits for providers at the most; they go on in the background."""


class telemetry_context:
    """Records what happens inside it as one run: ``with telemetry_context(manager, "Name") as telemetry:``.

    Entering starts the run and instruments AG2; leaving ends every span that is still open, and hands everything to the
    providers. ``async with`` does the same. An exception of the program passes unchanged, and is recorded.

    Args:
        manager: what records the run.
        trace_name: the workflow's name. Default: ``AG2 Workflow``.
        trace_attributes: attributes of the WORKFLOW span.

    Raises:
        TypeError: ``manager`` is no InstrumentationManager.

    """

    def __init__(
        self,
        manager: InstrumentationManager,
        trace_name: str | None = None,
        trace_attributes: dict[str, Any] | None = None,
    ) -> None:
        if not isinstance(manager, native.InstrumentationManager):
            raise TypeError(
                f"telemetry_context takes an InstrumentationManager, not {type(manager).__name__}: "
                "telemetry_context(InstrumentationManager(), 'My Workflow')"
            )
        self._manager = manager
        self._name = trace_name
        self._attributes = trace_attributes
        self._roots: list[SpanContext] = []

    def __enter__(self) -> InstrumentationManager:
        acquire()
        root = self._manager.start_trace(self._name, self._attributes)
        self._roots.append(root)
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
        if self._roots:
            self._roots.pop().end(error)
            release()


def get_current_telemetry() -> InstrumentationManager | None:
    """The manager whose run this is; None outside of every run."""
    span = native.current_span()
    return None if span is None else span.manager
