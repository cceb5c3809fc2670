"""The one mechanism by which callboard gets into AG2, and out again.

A hook is a *body*: a generator function that is called with the arguments of the AG2 function it watches,
records what begins, yields the span it opened (or None), is resumed with the outcome, and records that:

    program -> wrapper -> begin: body up to its yield
                       -> AG2's function
                       -> finish: rest of the body, span.end() -> program

A body serves plain and coroutine functions alike. `begin` and `finish` are native, and do nothing where no run is
current. The wrapper between them is plain Python, so that no native frame of callboard's is on the stack while AG2's
function runs. What a body raises is reported and stays inside. What AG2's function raises passes through unchanged, and
so does what a signal handler of the program raises in the middle of a body.
`Patches` remembers every object that it replaced, and puts each back if what it left there is still there.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any, NamedTuple, Protocol

from callboard._load import native, process_lock
from callboard.budget import BudgetExceeded

from .faults import contain, guard, logger, report
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
    watch = native.Watch(body, about, switch.switch)
    if inspect.iscoroutinefunction(function) if is_coroutine is None else is_coroutine:
        return awaited(function, watch)
    return called(function, watch)


def called(function: Any, watch: Any) -> Any:
    """Make the function that calls `function` between the `begin` and the `finish` of `watch`.

    Of two calls of `finish` the second does nothing: it is made where the first one raises what belongs to the program.
    """
    begin, finish = watch.begin, watch.finish

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        waiting = begin(args, kwargs)
        if waiting is None:
            return function(*args, **kwargs)
        try:
            result = function(*args, **kwargs)
            finish(waiting, result, None)
            return result
        except BaseException:
            finish(waiting, None, sys.exc_info()[1])
            raise

    return wrapper


def awaited(function: Any, watch: Any) -> Any:
    """Make the coroutine function that awaits `function` between the `begin` and the `finish` of `watch`."""
    begin, finish = watch.begin, watch.finish

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        waiting = begin(args, kwargs)
        if waiting is None:
            return await function(*args, **kwargs)
        result = None  # AG2 1.x reads its callers' variables, and one without a value costs it an exception.
        try:
            result = await function(*args, **kwargs)
            finish(waiting, result, None)
            return result
        except BaseException:
            finish(waiting, None, sys.exc_info()[1])
            raise

    return wrapper


def noted(function: Any, note: Callable[..., None], switch: Patches) -> Any:
    """Call `note` with the arguments of each call of `function` before it: a lesser hook, where no outcome matters.

    A `BudgetExceeded` that `note` raises reaches the program, as one that a body raises does.
    """
    watches = switch.switch.watches

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if watches():
            try:
                note(*args, **kwargs)
            except BudgetExceeded:
                raise
            except Exception as error:
                contain(note.__name__, error)
        return function(*args, **kwargs)

    return wrapper


class _Patch(NamedTuple):
    owner: Any
    name: str
    original: Any
    replacement: Any


class Patches:
    """What one installation replaced in AG2."""

    def __init__(self) -> None:
        self.switch = native.Switch(current, report)
        self._patches: list[_Patch] = []
        self._functions: list[tuple[str, Any, Any]] = []
        self._overridable: list[tuple[type, str, inspect.Signature, Maker]] = []
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

        An override that takes other arguments than the method is left alone: it is watched where it calls the method.

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
        # A library may have put a class of its own in the place of one of Python's, as gevent does with `Thread`.
        owner = next((cls for cls in owner.__mro__[:-1] if name in vars(cls)), None)
        if owner is None:
            _missing(target)
            return
        signature = inspect.signature(vars(owner)[name]) if overrides else None
        self._replace(owner, name, make)
        if signature is not None:
            self._overridable.append((owner, name, signature, make))
            for subclass in _subclasses(owner):
                self._cover(subclass, name, signature, make)

    def add(self, target: str, make: Maker) -> None:
        """Give a class an attribute that it does not have itself: what `make` makes for the class."""
        found = self._find(target)
        if found is None:
            return
        owner, name = found
        if name in vars(owner):
            _missing(target)
            return
        setattr(owner, name, value := make(owner))
        self._patches.append(_Patch(owner, name, _ABSENT, value))

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
        for patch in reversed(self._patches):
            if vars(patch.owner).get(patch.name) is not patch.replacement:
                continue
            if patch.original is _ABSENT:
                delattr(patch.owner, patch.name)
            else:
                setattr(patch.owner, patch.name, patch.original)
        self._functions.clear()
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
        for base, name, signature, make in self._overridable:
            if issubclass(cls, base):
                self._cover(cls, name, signature, make)

    def _cover(self, cls: type, name: str, signature: inspect.Signature, make: Maker) -> None:
        if name in vars(cls) and _takes_the_same(vars(cls)[name], signature):
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


def _takes_the_same(override: Any, signature: inspect.Signature) -> bool:
    """Whether an override can be called as AG2 calls the method with this signature.

    It takes what the method requires at the same places, and requires nothing that the method does not know. Names may
    differ, but none of the method's stands at another place.
    """
    if not inspect.isfunction(override):
        return False
    own = list(inspect.signature(override).parameters.values())
    if any(one.kind is one.VAR_POSITIONAL for one in own):
        return True
    known = list(signature.parameters)
    required = sum(one.default is one.empty and one.kind is one.POSITIONAL_OR_KEYWORD for one in _parameters(signature))
    places = [one for one in own if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    is_moved = any(one.name in known and known.index(one.name) != place for place, one in enumerate(places))
    wants_more = any(one.default is one.empty and one.name not in known for one in places[required:])
    return required <= len(places) and not is_moved and not wants_more


def _parameters(signature: inspect.Signature) -> Iterable[inspect.Parameter]:
    return signature.parameters.values()


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
