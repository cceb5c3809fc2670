"""Whether one of the two AG2s is instrumented, and for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from callboard._load import process_lock

from .faults import guard
from .importing import ImportWatch
from .patching import Patches, is_whole


class Installation:
    """The hooks in one AG2: asked for by hand (once, however often), and by contexts in progress.

    Args:
        module: the module that this AG2 is; where it has not been imported yet, its import is awaited.
        areas: gives the modules that have an `install`; called when there is something to install.

    """

    def __init__(self, module: str, areas: Callable[[], Iterable[Any]]) -> None:
        self.lock = process_lock
        self.by_hand = False
        self.contexts = 0
        self.patches: Patches | None = None
        self.module = module
        self.areas = areas
        self.watch = ImportWatch(module, self.imported)

    def instrument(self) -> bool:
        """Instrument AG2 until `uninstrument`, beyond the telemetry contexts, which do it by themselves.

        Where it has not been imported yet, that happens as soon as it is. Returns False if it had been asked for
        before.
        """
        with self.lock:
            asked_before, self.by_hand = self.by_hand, True
            self.update()
        return not asked_before

    def uninstrument(self) -> bool:
        """Undo `instrument`; AG2 stays instrumented while a telemetry context is in progress.

        Returns False if there was nothing to undo.
        """
        with self.lock:
            asked_before, self.by_hand = self.by_hand, False
            self.update()
        return asked_before

    def acquire(self) -> None:
        """Count a telemetry context that begins. Each `acquire` needs its `release`."""
        with self.lock:
            self.contexts += 1
            self.update()

    def release(self) -> None:
        """Count a telemetry context that has ended."""
        with self.lock:
            self.contexts = max(0, self.contexts - 1)
            self.update()

    @property
    def is_wanted(self) -> bool:
        """Whether somebody needs the hooks."""
        return self.by_hand or self.contexts > 0

    def update(self) -> None:
        """Bring AG2 into the state that is wanted; where it is yet to be imported, as soon as it is."""
        with self.lock:
            if not self.is_wanted:
                self._remove()
            elif self.patches is None and is_whole(self.module):
                self._install()
            elif self.patches is None:
                self.watch.start()

    def imported(self) -> None:
        """Take it up that AG2 has just been imported."""
        with self.lock:
            if self.is_wanted and self.patches is None:
                self._install()

    def _install(self) -> None:
        self.watch.stop()
        self.patches = Patches()
        for area in self.areas():
            with guard(f"anything by {area.__name__}"):
                area.install(self.patches)

    def _remove(self) -> None:
        self.watch.stop()
        if self.patches is not None:
            self.patches.restore()
            self.patches = None
