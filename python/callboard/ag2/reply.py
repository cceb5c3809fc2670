"""An agent replying: REPLY, and the REPLY_FUNCTIONs that it tries in turn.

AG2 keeps reply functions in a list of each agent and compares them (`exclude`, `replace_reply_func`, a program's own
look at the list). So the list is left alone. While an agent replies, AG2's own readers of it, and nobody else, get a
view of the list: the same entries in the same order, with a wrapper in the place of each function that equals it.

    agent._reply_func_list -> ReplyFunctions
        AG2's reader, during a reply -> _View, whose functions are wrappers
        everybody else               -> the list

Most reply functions decline at once. Those of AG2's own that may (`DECLINING`) are an `Attempt` without a span, which
is recorded as a brief child of the REPLY when they return. Should one do something after all (call a model, ask a
human, print), it gets its span at that moment. Any other function gets one when it is called, and is a scope.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from types import FunctionType
from typing import Any, ClassVar, TypeAlias

from callboard._load import native

from . import groups, nested, swarm
from .agents import AGENT
from .faults import contain
from .hooks import HOOKS
from .patching import Patches, awaited, called, watched
from .scope import current
from .views import ViewedAttribute

Reply: TypeAlias = native.Reply
"""An agent replying to a sender: a scope. `messages` is the history that it was given."""

Attempt: TypeAlias = native.Attempt
"""A reply function at work within a `Reply`. It has no span until it does something, or for good."""

LIST = "_reply_func_list"
READERS = ("generate_reply", "a_generate_reply", "_get_sync_funcs_to_skip_in_async_chat")
"""The methods of AG2's that get the view."""

# AG2's reply functions that decline at a glance, mostly. Each has a twin with `a_` before.
DECLINING = (
    "generate_oai_reply",
    "generate_tool_calls_reply",
    "generate_function_call_reply",
    "check_termination_and_human_reply",
)


def install(patches: Patches) -> None:
    """Watch agents replying, and the reply functions as `generate_reply` reads them."""
    patches.watch(f"{AGENT}.generate_reply", HOOKS.reply(), overrides=True)
    patches.watch(f"{AGENT}.a_generate_reply", HOOKS.reply(), overrides=True)
    patches.add(f"{AGENT}.{LIST}", lambda owner: ReplyFunctions(owner, patches))


class ReplyFunctions(ViewedAttribute):
    """The attribute `_reply_func_list` of agents."""

    def __init__(self, owner: Any, patches: Patches) -> None:
        super().__init__(LIST, {inspect.unwrap(vars(owner)[name]).__code__ for name in READERS if name in vars(owner)})
        self.patches = patches
        self.is_coroutine = _coroutine_test(owner)
        self.groups = groups.run_functions()
        own = (vars(owner).get(prefix + name) for name in DECLINING for prefix in ("", "a_"))
        self.own = {id(function): self._wrapped(function, at_once=False) for function in own if function is not None}
        """The wrappers of AG2's own functions, by their ids: those belong to many agents, and are made once."""

    def view(self, agent: Any, functions: Any) -> Any:
        """Return the view where this agent is replying, else the list."""
        reply = current.get()
        return _View(functions, self) if isinstance(reply, Reply) and reply.agent is agent else functions

    def seen(self, entry: Any) -> Any:
        """Return an entry of a list as the view has it: with a wrapper in the place of the function."""
        try:
            function = entry["reply_func"]
            return {**entry, "reply_func": self.own.get(id(function)) or self._wrapped(function)}
        except Exception as error:
            contain("a reply function", error)
            return entry

    def _wrapped(self, function: Any, *, at_once: bool = True) -> _Wrapper:
        name = getattr(function, "__name__", None) or type(function).__name__
        module = getattr(function, "__module__", None) or type(function).__module__
        is_coroutine = self.is_coroutine(function)
        trial = native.Trial(self.patches.switch, HOOKS, name=name, module=module, at_once=at_once)
        inner = self._watched_within(function, name, is_coroutine)
        call = awaited(inner, trial) if is_coroutine else called(inner, trial)
        return _KINDS[is_coroutine, inspect.isfunction(function)](function, call)

    def _watched_within(self, function: Any, name: str, is_coroutine: bool) -> Any:
        """Have a reply function that is a chat of its own watched as such, too."""
        if any(function is known for known in self.groups):
            return watched(function, groups.group_chat, name, switch=self.patches, is_coroutine=is_coroutine)
        if (name, getattr(function, "__module__", None)) == ("_run_oncontextconditions", swarm.MODULE):
            return watched(function, swarm.context_conditions, name, switch=self.patches, is_coroutine=is_coroutine)
        if nested.is_nested_chat(function):
            return watched(function, nested.nested_chat, function, switch=self.patches, is_coroutine=is_coroutine)
        return function


class _View(Sequence[Any]):
    """An agent's list of reply functions as AG2's readers see it: what changes in the list shows here too."""

    __slots__ = ("_entries", "_functions")

    def __init__(self, entries: list[Any], functions: ReplyFunctions) -> None:
        self._entries = entries
        self._functions = functions

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Any]:
        return map(self._functions.seen, self._entries)

    def __getitem__(self, place: Any) -> Any:
        entries = self._entries[place]
        seen = self._functions.seen
        return list(map(seen, entries)) if isinstance(place, slice) else seen(entries)


class _Wrapper:
    """A reply function in the view: it equals the function, and has its hash and attributes. `call` is its work."""

    assigned: ClassVar[tuple[str, ...]] = functools.WRAPPER_ASSIGNMENTS
    """The attributes that it has of the function, beside those that the program gave that."""

    def __init__(self, function: Any, call: Callable[..., Any]) -> None:
        self.__wrapped__ = function
        functools.update_wrapper(self, function, assigned=self.assigned)
        self._call = call

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __eq__(self, other: object) -> bool:
        function: Any = self.__wrapped__
        return bool(function == (other.__wrapped__ if isinstance(other, _Wrapper) else other))

    def __hash__(self) -> int:
        return hash(self.__wrapped__)


_OF_FUNCTIONS = (
    *functools.WRAPPER_ASSIGNMENTS,
    *("__code__", "__defaults__", "__kwdefaults__", "__closure__", "__globals__"),
)
"""The attributes that the wrapper of a function has of it, beside those that the program gave that."""


class _AsyncWrapper(_Wrapper):
    """A coroutine function in the view. Both of AG2's ways to know one find that this is one."""

    def __init__(self, function: Any, call: Callable[..., Any]) -> None:
        super().__init__(function, call)
        if inspect.iscoroutinefunction(function) and not inspect.iscoroutinefunction(self):
            self._mark(function)

    def _mark(self, function: Any) -> None:
        """Have a `partial` of a coroutine function known as one: it has no code of its own to tell it by."""
        if hasattr(inspect, "markcoroutinefunction"):
            inspect.markcoroutinefunction(self)
            return
        inner = function
        while isinstance(inner, functools.partial):
            inner = inner.func
        functools.update_wrapper(self, inner, assigned=_OF_FUNCTIONS, updated=())
        self.__wrapped__ = function

    async def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return await self._call(*args, **kwargs)


class _OfFunction:
    """In the place of a function: to `isinstance` it is one, and it has what AG2 asks a function for itself."""

    __class__ = FunctionType  # type: ignore[assignment]  # what isinstance asks for beside the type
    _is_coroutine = None  # asyncio's mark of old


class _OfObject:
    """In the place of a method, a `partial`, any callable object: it has what that has, and lacks what that lacks."""

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["__wrapped__"], name)


class _FunctionWrapper(_OfFunction, _Wrapper):
    assigned = _OF_FUNCTIONS


class _ObjectWrapper(_OfObject, _Wrapper):
    pass


class _AsyncFunctionWrapper(_OfFunction, _AsyncWrapper):
    assigned = _OF_FUNCTIONS


class _AsyncObjectWrapper(_OfObject, _AsyncWrapper):
    pass


_KINDS: dict[tuple[bool, bool], type[_Wrapper]] = {
    (False, False): _ObjectWrapper,
    (False, True): _FunctionWrapper,
    (True, False): _AsyncObjectWrapper,
    (True, True): _AsyncFunctionWrapper,
}
"""By whether it is a coroutine function, and whether it is a function at all."""


def _coroutine_test(owner: Any) -> Callable[[Any], bool]:
    """How this version of AG2 tells a coroutine function from others."""
    function = inspect.unwrap(owner.a_generate_reply)
    test: Callable[[Any], bool] | None = function.__globals__.get("is_coroutine_callable")
    used = "is_coroutine_callable" in function.__code__.co_names
    return test if used and test is not None else inspect.iscoroutinefunction
