"""An agent replying: REPLY, and the REPLY_FUNCTIONs that it tries in turn.

AG2 keeps reply functions in a list of each agent and compares them by identity (`exclude`,
`replace_reply_func`, a program's own look at the list). So the list is left alone, and so is the attribute that
holds it: `generate_reply` itself is made to read another one, which has watched functions in the place of the
real ones while the agent replies. Everybody else sees the list as it is.

What AG2 would do only to find out what is known here already, it is spared: it does not see functions that it would
pass by, and where a function is for any agent (`[Agent, None]`, AG2's usual trigger) it sees the sender's own class
for a trigger. `Agent` is a protocol, which Python asks for each of its members every time.

Most reply functions decline at once. Those of AG2's own that may (`DECLINING`) are an `Attempt` without a span,
told to the REPLY as a brief child when they return. Should one do something after all (call a model, ask a
human, print), it gets its span at that moment. Any other function gets one when it is called, and is a scope.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

from callboard._load import native

from . import groups, nested, swarm
from .agents import AGENT
from .hooks import HOOKS
from .patching import Patches, awaited, called, watched

Reply: TypeAlias = native.Reply
"""An agent replying to a sender: a scope. `messages` is the history that it was given."""

Attempt: TypeAlias = native.Attempt
"""A reply function at work within a `Reply`. It has no span until it does something, or for good."""


def install(patches: Patches) -> None:
    """Watch agents replying, and the reply functions as `generate_reply` reads them."""
    patches.watch(f"{AGENT}.generate_reply", HOOKS.reply(), overrides=True)
    patches.watch(f"{AGENT}.a_generate_reply", HOOKS.reply(), overrides=True)
    patches.add(f"{AGENT}.{WATCHED_LIST}", lambda owner: Functions(owner, patches).attribute())
    for reader in READERS:
        patches.redirect(f"{AGENT}.{reader}", "_reply_func_list", WATCHED_LIST)


class Functions:
    """How the installed version of AG2 reads an agent's reply functions, and what stands in their place."""

    def __init__(self, owner: Any, patches: Patches) -> None:
        self.is_coroutine = _coroutine_test(owner)
        self.patches = patches
        self.groups = groups.run_functions()
        own = (vars(owner).get(prefix + name) for name in DECLINING for prefix in ("", "a_"))
        self.own = [(one, self._tried(one, at_once=False), self.is_coroutine(one)) for one in own if one is not None]
        """AG2's own functions are many agents': what stands in their place is made once."""
        self.matching = _matching(owner)

    def attribute(self) -> native.ReplyFunctions:
        """Make the attribute of agents that AG2's readers read instead of the list."""
        return native.ReplyFunctions(self.patches.switch, self.own, self._tried, self.matching)

    def _tried(self, function: Any, *, at_once: bool = True) -> Any:
        kind = type(function)
        name = getattr(function, "__name__", None) or kind.__name__
        module = getattr(function, "__module__", None) or kind.__module__
        is_coroutine = self.is_coroutine(function)
        inner = self._watched_within(function, name, is_coroutine)
        trial = native.Trial(inner, self.patches.switch, HOOKS, name=name, module=module, at_once=at_once)
        # A function, as AG2 looks at each one's kind, and at anything else's for longer than it runs.
        in_its_place = awaited(inner, trial) if is_coroutine else called(trial)
        in_its_place.__name__, in_its_place.__module__, in_its_place.__wrapped__ = name, module, function
        return in_its_place

    def _watched_within(self, function: Any, name: str, is_coroutine: bool) -> Any:
        """Have a reply function that is a chat of its own watched as such, too."""
        if any(function is known for known in self.groups):
            return watched(function, groups.group_chat, name, switch=self.patches, is_coroutine=is_coroutine)
        if (name, getattr(function, "__module__", None)) == ("_run_oncontextconditions", swarm.MODULE):
            return watched(function, swarm.context_conditions, name, switch=self.patches, is_coroutine=is_coroutine)
        if nested.is_nested_chat(function):
            return watched(function, nested.nested_chat, function, switch=self.patches, is_coroutine=is_coroutine)
        return function


WATCHED_LIST = "_callboard_reply_func_list"
"""The attribute that AG2's readers of the list read."""

READERS = ("generate_reply", "a_generate_reply", "_get_sync_funcs_to_skip_in_async_chat")

# AG2's reply functions that decline at a glance, mostly. Each has a twin with `a_` before.
DECLINING = (
    "generate_oai_reply",
    "generate_tool_calls_reply",
    "generate_function_call_reply",
    "check_termination_and_human_reply",
)


def _matching(owner: Any) -> tuple[type[Any], Any] | None:
    """AG2's class `Agent` and its method that matches triggers, where it takes an agent's own class for as good."""
    match = vars(owner).get("_match_trigger")
    any_agent: Any = getattr(match, "__globals__", {}).get("Agent")
    probe = object.__new__(owner)
    with suppress(Exception):  # What this version of AG2 says of a probe, if it takes one.
        if all(match(probe, trigger, probe) is True for trigger in (any_agent, [any_agent, None], owner)):
            return any_agent, match
    return None


def _coroutine_test(owner: Any) -> Callable[[Any], bool]:
    """How this version of AG2 tells a coroutine function from others."""
    function = inspect.unwrap(owner.a_generate_reply)
    test: Callable[[Any], bool] | None = function.__globals__.get("is_coroutine_callable")
    used = "is_coroutine_callable" in function.__code__.co_names
    return test if used and test is not None else inspect.iscoroutinefunction
