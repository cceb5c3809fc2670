"""Where the tree is drawn, and when.

- Standard error is a terminal that the program does not print to: drawn in place, again and again while it runs.
- It is the program's terminal too: a line for each span as it ends, as drawing in place would wipe out its output.
- It is a file or a pipe: nothing while the program runs.

In the end the whole tree is written, wherever.
"""

from __future__ import annotations

import sys
import threading
import time

from .stderr import Stderr, cut
from .tree import Span, Tree

PAUSE_SECONDS = 0.1
"""How long a drawing stands at least."""

PAUSE_DRAWINGS = 20
"""The same, in the time that a drawing takes: a large tree may not keep the program from its work."""

TICK_SECONDS = 1.0
"""How long it stands at the most: durations run."""

WAIT_SECONDS = 1.0
"""How long the end waits for a drawing that is under way."""


class Screen(Tree):
    """The tree, drawn."""

    def __init__(self, stderr: Stderr) -> None:
        super().__init__()
        self._stderr = stderr
        self._is_drawn_in_place = stderr.is_terminal and not _is_terminal(sys.stdout)
        self._is_told = stderr.is_terminal and not self._is_drawn_in_place
        self._stale, self._stop = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._drawn_lines = 0

    def begin(self) -> None:
        """Begin to draw."""
        if self._is_drawn_in_place:
            self._thread = threading.Thread(target=self._draw_until_stopped, name="callboard tree", daemon=True)
            self._thread.start()

    def finish(self) -> None:
        """Draw the whole tree, for the last time."""
        if self._thread is not None:
            self._stop.set()
            self._stale.set()
            self._thread.join(WAIT_SECONDS)
            self._thread = None
        lines = "".join(f"{line}\n" for line in self.lines())
        self._stderr.write(f"{self._up()}{lines}\n")

    def changed(self, ended: Span | None) -> None:
        """Have the drawing made anew, or tell of the span that ended."""
        self._stale.set()
        if self._is_told and ended is not None:
            self._stderr.write(f"{'   ' * ended.depth}{ended.title} {ended.facts()}\n")

    def _draw_until_stopped(self) -> None:
        took = 0.0
        while not self._stop.wait(max(PAUSE_SECONDS, took * PAUSE_DRAWINGS)):
            self._stale.wait(TICK_SECONDS)
            self._stale.clear()
            begun = time.monotonic()
            if not self._stop.is_set():
                self._draw()
            took = time.monotonic() - begun

    def _draw(self) -> None:
        columns, rows = self._stderr.size()
        lines = self.lines()
        hidden = len(lines) - (rows - 2)
        if hidden > 0:
            lines = [f"({hidden:,} lines above)", *lines[hidden:]]
        text = "".join(f"{cut(line, columns - 1)}\n" for line in lines)
        self._stderr.write(self._up() + text)
        self._drawn_lines = len(lines)

    def _up(self) -> str:
        """What moves the cursor to the drawing's first line and wipes out from there."""
        return f"\x1b[{self._drawn_lines}F\x1b[J" if self._drawn_lines else ""


def _is_terminal(stream: object) -> bool:
    try:
        return bool(getattr(stream, "isatty", bool)())
    except (OSError, ValueError):
        return False
