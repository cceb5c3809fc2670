"""What watches the program: the providers, the run that they are told of, and its end, however it comes.

The end is the interpreter's exit, after the program's threads and its own exit handlers, or SIGTERM where the program
has no handler for it. A forked process has no part in it. What fails here costs the telemetry and one warning.
"""

from __future__ import annotations

import atexit
import os
import signal
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING

from callboard import (
    CostTrackerProvider,
    InstrumentationManager,
    MermaidDiagramProvider,
    OpenTelemetryProvider,
    current_span,
    telemetry_context,
)

from .screen import Screen
from .stderr import Stderr, one_line
from .summary import framework_differs, losses, summary
from .tracebacks import hooks_left_out

if TYPE_CHECKING:
    from .command import Options

SHUTDOWN_SECONDS = 5.0
"""How long the end waits for providers at the most, those left out that the run's own flush waited for in vain."""


class Watch:
    """One program being watched."""

    def __init__(self, options: Options, exporter: OpenTelemetryProvider | None, stderr: Stderr) -> None:
        self._options = options
        self._stderr = stderr
        self._manager = InstrumentationManager()
        self._costs = CostTrackerProvider()
        self._exporter = exporter
        self._diagram = MermaidDiagramProvider() if options.mermaid else None
        self._screen = Screen(stderr) if options.tree else None
        for provider in (self._costs, self._exporter, self._diagram, self._screen):
            if provider is not None:
                self._manager.register_provider(provider)
        self._context = telemetry_context(self._manager, options.name)
        self._context._warns = False  # The process may end in whatever task a signal comes in.
        self._process = os.getpid()
        self._ended_by = ""
        self._began = time.monotonic()

    def begin(self) -> None:
        """Begin the run; it ends by itself."""
        self._context.__enter__()
        self._root = current_span()
        atexit.register(self._end)  # Before the program registers anything: what is registered last runs first.
        if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, self._terminated)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=self._leave_child_alone)
        if self._screen is not None:
            self._try("the tree is drawn at the end only", self._screen.begin)

    def failed(self, error: BaseException) -> None:
        """The program raised this. It is not kept: the objects of its frames die when they would have."""
        self._ended_by = type(error).__name__
        if self._root is not None and os.getpid() == self._process:
            with hooks_left_out(error, error.__traceback__):
                self._root.record_exception(error)

    def _end(self) -> None:
        """End the run and show what there is to show."""
        if os.getpid() != self._process:
            return
        self._process = 0  # Once.
        seconds = time.monotonic() - self._began
        self._stderr.flush()
        self._try("the run could not be ended", self._deliver)
        if self._screen is not None:
            self._try("the tree could not be drawn", self._screen.finish)
        if self._options.summary:
            self._try("there is no summary", lambda: self._summarize(seconds))
        if self._options.mermaid:
            self._try(f"the diagram could not be written to {self._options.mermaid}", self._write_diagram)

    def _try(self, complaint: str, step: Callable[[], None]) -> None:
        """One step of the end; the others come whatever becomes of it. Ctrl-C ends its wait."""
        try:
            step()
        except KeyboardInterrupt:
            pass
        except Exception as error:
            self._stderr.tell(f"callboard: {complaint}: {error}")

    def _deliver(self) -> None:
        self._context.__exit__(None, None, None)
        self._manager._shutdown_on_leaving(SHUTDOWN_SECONDS)

    def _summarize(self, seconds: float) -> None:
        exported = None if self._exporter is None else self._exporter.statistics()
        notes = [] if self._root is None else framework_differs(self._root.trace_id)
        notes += losses(self._manager.statistics(), exported)
        name = one_line(self._options.name)
        self._stderr.tell(summary(name, seconds, self._ended_by, self._costs.report(), notes))

    def _write_diagram(self) -> None:
        if self._diagram is None:
            return
        text = self._diagram.generate_sequence_diagram(run=self._root).rstrip("\n")
        if self._options.mermaid == "-":
            self._stderr.tell(f"\n{text}" if self._options.summary else text)
        else:
            with open(self._options.mermaid, "w", encoding="utf-8") as file:
                file.write(f"{text}\n")

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        """End the run, then the process as the signal would have: without the program's exit handlers."""
        signal.signal(number, signal.SIG_DFL)  # A second one does not wait.
        try:
            self._ended_by = signal.Signals(number).name
            if self._root is not None and os.getpid() == self._process:
                self._root.set_error(self._ended_by)
            self._end()
        finally:
            os.kill(os.getpid(), number)

    def _leave_child_alone(self) -> None:
        """A process that was forked off dies of SIGTERM at once, as it would have."""
        try:
            if signal.getsignal(signal.SIGTERM) == self._terminated:
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
        except ValueError:
            pass
