"""The one mechanism by which callboard gets into AG2, and out again.

A hook is a *body*: a generator function that is called with the arguments of the AG2 function it watches,
records what begins, yields the span it opened (or None), is resumed with the outcome, and records that:

    program -> wrapper -> body up to its yield -> AG2's function -> rest of the body -> span.end() -> program

A body serves plain and coroutine functions alike. The native half runs it; it calls straight through where no run is
current. What a body raises is reported and stays inside; what AG2's function raises passes through unchanged.
`Patches` remembers every object that it replaced, and puts each back if what it left there is still there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import traceback
import warnings
from collections.abc import Callable, Generator
from contextlib import suppress
from types import CodeType
from typing import Any, NamedTuple, Protocol

from callboard._load import native, process_lock

from .faults import guard, logger, report
from .importing import ImportWatch
from .scope import current


class Ends(Protocol):
    """What a body yields: a span, or something that ends as one."""

    def end(self, error: BaseException | None = None) -> None:
        """End, after what went wrong if something did."""


Outcome = tuple[Any, "BaseException | None"]
"""How the watched call went: what it returned, or what it raised."""

Steps = Generator["Ends | None", Outcome, None]
Body = Callable[..., Steps] | native.Hook
Maker = Callable[[Any], Any]

_ABSENT: Any = object()


def watched(function: Any, body: Body, *about: Any, switch: Patches, is_coroutine: bool | None = None) -> Any:
    """Have `body` watch `function` while `switch` is live; it gets `about` before the call's arguments.

    `is_coroutine` is for an object that is called like a coroutine function without being one.
    """
    watch = native.Watch(function, body, about, switch.switch)
    if inspect.iscoroutinefunction(function) if is_coroutine is None else is_coroutine:
        return awaited(function, watch)
    return called(watch)


def called(watch: Any) -> Any:
    """Make the function whose calls go through `watch`."""
    call = watch.call

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    return wrapper


def awaited(function: Any, watch: Any) -> Any:
    """Make the coroutine function that does around awaiting `function` what `watch` does around a call."""

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        waiting = watch.begin(args, kwargs)
        if waiting is None:
            return await function(*args, **kwargs)
        result = None  # AG2 1.x reads its callers' variables, and one without a value costs it an exception.
        try:
            result = await function(*args, **kwargs)
        except BaseException:
            watch.finish(waiting, None, sys.exc_info()[1])
            raise
        watch.finish(waiting, result, None)
        return result

    return wrapper


def noted(function: Any, note: Callable[..., None], switch: Patches) -> Any:
    """Tell `note` of the calls of `function` beforehand: a lesser hook, where the outcome does not matter."""
    watches = switch.switch.watches

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if watches():
            try:
                note(*args, **kwargs)
            except Exception as error:
                report(note.__name__, error)
        return function(*args, **kwargs)

    return wrapper


class _Patch(NamedTuple):
    owner: Any
    name: str
    original: Any
    replacement: Any


class _Redirection(NamedTuple):
    function: Any
    original: CodeType
    replacement: CodeType
    name: str
    instead: str

    def is_running(self) -> bool:
        """Whether some thread is in the midst of the replacement."""
        return any(
            frame.f_code is self.replacement
            for innermost in sys._current_frames().values()
            for frame, _ in traceback.walk_stack(innermost)
        )


class _Alias:
    """An attribute that is read for another one, by who was in the midst of reading it when everything was put back."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, owner: Any, kind: type[Any] | None = None) -> Any:
        return self if owner is None else getattr(owner, self.name)


class Patches:
    """What one installation replaced in AG2."""

    def __init__(self) -> None:
        self.switch = native.Switch(current, report)
        self._patches: list[_Patch] = []
        self._functions: list[tuple[str, Any, Any]] = []
        self._redirections: list[_Redirection] = []
        self._overridable: list[tuple[type, str, Maker]] = []
        self._originals: dict[Any, Any] = {}
        self._awaited: list[ImportWatch] = []
        self._undoing: list[Callable[[], None]] = []

    @property
    def live(self) -> bool:
        """Whether calls are watched; once what was replaced is put back, they are not."""
        return self.switch.live

    def when_loaded(self, module: str, install: Callable[[Patches], None]) -> None:
        """Have `install` called once a module that not every program imports is there: now, or when it is."""
        if is_whole(module):
            install(self)
            return

        def imported() -> None:
            with process_lock:
                if self.live:
                    install(self)

        watch = ImportWatch(module, imported)
        watch.start()
        self._awaited.append(watch)

    def when_restored(self, undo: Callable[[], None]) -> None:
        """Have `undo` called where everything is put back: for what is changed by other means than these."""
        self._undoing.append(undo)

    def watch(self, target: str, body: Body, *, overrides: bool = False) -> None:
        """Watch a method, `module:Class.method`; with `overrides`, those of subclasses that override it too.

        The body gets the name of the AG2 function first.
        """
        self.wrap(target, self.watcher(body), overrides=overrides)

    def watcher(self, body: Body) -> Maker:
        """Return what makes a function one that `body` watches while this installation lasts."""
        return lambda function: watched(function, body, function.__name__, switch=self)

    def note(self, target: str, note: Callable[..., None]) -> None:
        """Have `note` told of the calls of a method, `module:Class.method`, before they are made."""
        self.wrap(target, lambda function: noted(function, note, self))

    def note_making(self, target: str, note: Callable[..., None]) -> None:
        """Have `note` told what a class, `module:Class`, is about to make an object of."""

        def make(owner: type[Any]) -> Any:
            def __init__(made: Any, /, *args: Any, **kwargs: Any) -> None:
                super(owner, made).__init__(*args, **kwargs)

            return noted(__init__, lambda made, /, *args, **kwargs: note(*args, **kwargs), self)

        self.add(f"{target}.__init__", make)

    def wrap(self, target: str, make: Maker, *, overrides: bool = False) -> None:
        """Replace a method, `module:Class.method`, by what `make` makes of it."""
        found = self._find(target)
        if found is None:
            return
        owner, name = found
        if name not in vars(owner):
            _missing(target)
            return
        self._replace(owner, name, make)
        if overrides:
            self._overridable.append((owner, name, make))
            for subclass in _subclasses(owner):
                self._cover(subclass, name, make)

    def add(self, target: str, make: Maker) -> None:
        """Give a class an attribute that it does not have itself: what `make` makes for the class."""
        found = self._find(target)
        if found is None:
            return
        owner, name = found
        if name in vars(owner) and not isinstance(vars(owner)[name], _Alias):
            _missing(target)
            return
        setattr(owner, name, value := make(owner))
        self._patches.append(_Patch(owner, name, _ABSENT, value))

    def redirect(self, target: str, name: str, instead: str) -> None:
        """Have a method, `module:Class.method`, read the attribute `instead` wherever it reads the attribute `name`.

        Everybody else reads `name` as ever, and at no cost. A method that there is not reads nothing.
        """
        found = self._find(target)
        if found is None or not hasattr(*found):
            return
        function = inspect.unwrap(getattr(*found))
        original = getattr(function, "__code__", None)
        if original is None or name not in original.co_names:
            _missing(f"{name} in {target}")
            return
        names = tuple(instead if one == name else one for one in original.co_names)
        function.__code__ = replacement = original.replace(co_names=names)
        self._redirections.append(_Redirection(function, original, replacement, name, instead))

    def wrap_function(self, target: str, make: Maker) -> None:
        """Replace a module's function, `module:function`, in every loaded module that knows it by that name.

        A program that did `from autogen import initiate_chats` has such a binding too; it is rebound as well.
        """
        found = self._find(target)
        if found is None:
            return
        module, name = found
        original = vars(module).get(name)
        if original is None:
            _missing(target)
            return
        wrapper = functools.update_wrapper(make(original), original)
        self._functions.append((name, original, wrapper))
        _rebind(name, original, wrapper)

    def cover_subclasses(self, target: str) -> None:
        """Watch what subclasses of a class, `module:Class`, override that are defined from now on."""

        def make(owner: type[Any]) -> Any:
            def __init_subclass__(cls: type[Any], /, **kwargs: Any) -> None:
                super(owner, cls).__init_subclass__(**kwargs)
                with guard(f"a class derived from {owner.__name__}"):
                    self._cover_new(cls)

            return classmethod(__init_subclass__)

        self.add(f"{target}.__init_subclass__", make)

    def restore(self) -> None:
        """Put everything back. What somebody else replaced since stays theirs; our wrapper in it is inert."""
        self.switch.turn_off()
        for watch in self._awaited:
            watch.stop()
        for undo in self._undoing:
            with guard("what is to be put back"):
                undo()
        for name, original, wrapper in reversed(self._functions):
            _rebind(name, wrapper, original)
        for redirection in self._redirections:
            if redirection.function.__code__ is redirection.replacement:
                redirection.function.__code__ = redirection.original
        running = {each.instead: _Alias(each.name) for each in self._redirections if each.is_running()}
        for patch in reversed(self._patches):
            if vars(patch.owner).get(patch.name) is not patch.replacement:
                continue
            if patch.name in running:
                setattr(patch.owner, patch.name, running[patch.name])
            elif patch.original is _ABSENT:
                delattr(patch.owner, patch.name)
            else:
                setattr(patch.owner, patch.name, patch.original)
        self._functions.clear()
        self._redirections.clear()
        self._patches.clear()
        self._overridable.clear()
        self._originals.clear()
        self._awaited.clear()
        self._undoing.clear()

    def _find(self, target: str) -> tuple[Any, str] | None:
        module, _, path = target.partition(":")
        *owners, name = path.split(".")
        try:
            owner: Any = importlib.import_module(module)
            for step in owners:
                owner = getattr(owner, step)
        except (ImportError, AttributeError):
            _missing(target)
            return None
        return owner, name

    def _cover_new(self, cls: type) -> None:
        for base, name, make in self._overridable:
            if issubclass(cls, base):
                self._cover(cls, name, make)

    def _cover(self, cls: type, name: str, make: Maker) -> None:
        if name in vars(cls):
            self._replace(cls, name, make)

    def _replace(self, owner: Any, name: str, make: Maker) -> None:
        raw = vars(owner)[name]
        static = isinstance(raw, staticmethod)
        function = raw.__func__ if static else raw
        if not inspect.isfunction(function):
            return
        if function in self._originals:  # A class that took over our wrapper gets AG2's function back.
            self._patches.append(_Patch(owner, name, self._originals[function], raw))
            return
        wrapper = functools.update_wrapper(make(function), function)
        replacement = staticmethod(wrapper) if static else wrapper
        setattr(owner, name, replacement)
        self._patches.append(_Patch(owner, name, raw, replacement))
        self._originals[wrapper] = function


def is_whole(name: str) -> bool:
    """Whether a module has been imported to its end.

    One that some thread is in the midst of importing is not to be touched: our imports of its parts would cross that
    thread's, and one of the two would find a part half done.
    """
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def _rebind(name: str, old: Any, new: Any) -> None:
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if isinstance(names, dict) and names.get(name) is old:
            names[name] = new


def _subclasses(cls: type[Any]) -> set[type[Any]]:
    children = set(cls.__subclasses__())
    return children.union(*map(_subclasses, children))


_told_missing: set[str] = set()


def _missing(target: str) -> None:
    """Warn, once a process, of a hook that this version of AG2 has no place for. The others work without it."""
    if target in _told_missing:
        return
    _told_missing.add(target)
    message = f"callboard does not find {target} in this version of AG2; what happens there is not recorded"
    logger.warning(message)
    with suppress(RuntimeWarning):  # Where the program makes errors of warnings, the log has it.
        warnings.warn(message, RuntimeWarning, stacklevel=2)
