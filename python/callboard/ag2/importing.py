"""Instrumenting AG2 the moment a program imports it, without importing it ourselves."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

from .faults import guard


class ImportWatch:
    """Calls back once, after `name` has been imported. Until then it costs a comparison an import."""

    def __init__(self, name: str, imported: Callable[[], None]) -> None:
        self.name = name
        self.imported = imported

    def start(self) -> None:
        """Begin to watch."""
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        """Watch no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find what the finders after this one find, with a loader that calls back (a finder's protocol)."""
        if name != self.name:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                with guard("the import of AG2"):
                    self._call_back_after(spec)
                return spec
        return None

    def _call_back_after(self, spec: ModuleSpec) -> None:
        """Hang the call on the loader's own `exec_module`: the module keeps the loader that it would have."""
        loader = spec.loader
        if loader is None or "exec_module" in vars(loader):
            return
        execute = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            del loader.exec_module  # what was set below
            execute(module)
            with guard("the import of AG2"):
                self.stop()
                self.imported()

        loader.exec_module = exec_module  # type: ignore[method-assign]  # on the instance, for one import
