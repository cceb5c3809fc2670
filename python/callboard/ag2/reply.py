"""An agent replying: REPLY, and the REPLY_FUNCTIONs that it tries in turn.

AG2 keeps reply functions in a list of each agent and compares them by identity (`exclude`,
`replace_reply_func`, a program's own look at the list). So the list is left alone: while `generate_reply`
itself reads it, and only then, it sees watched functions in the place of the real ones; everybody else sees
the list as it is.

Most reply functions decline at once. Those of AG2's own that may (`DECLINING`) are an `Attempt` without a span,
told to the REPLY as a brief child when they return. Should one do something after all (call a model, ask a
human, print), it gets its span at that moment. Any other function gets one when it is called.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Container, Iterator
from types import CodeType, FunctionType
from typing import Any, TypeAlias

from callboard import SpanContext, SpanKind
from callboard._load import native

from . import groups, images, keys, nested, swarm
from .agents import AGENT, internal, name_of, sender_and_recipient
from .chat import Chat
from .faults import report
from .patching import Patches, Steps, awaited, watched
from .scope import Scope, current, here, innermost


def install(patches: Patches) -> None:
    """Watch agents replying, and the reply functions as `generate_reply` reads them."""
    patches.watch(f"{AGENT}.generate_reply", reply, overrides=True)
    patches.watch(f"{AGENT}.a_generate_reply", reply, overrides=True)
    patches.add(f"{AGENT}._reply_func_list", lambda owner: Functions(owner, patches).attribute())


class Reply(Scope):
    """An agent replying to a sender; `messages` is the history that it was given."""

    __slots__ = ("about", "exclude", "is_async", "messages", "sender", "watched")

    def __init__(self, span: SpanContext, function: str, agent: Any, sender: Any, messages: Any) -> None:
        super().__init__(span, agent)
        self.is_async = function.startswith("a_")
        self.sender = sender
        self.messages = messages
        self.exclude: Container[Any] = ()
        self.about: dict[str, Any] = {}
        self.watched: dict[int, Any] = {}

    def history(self, messages: Any) -> Any:
        """Make these messages one value, which shares what the agent's earlier ones hold."""
        if not isinstance(messages, list) or self.span is None:
            return messages
        peer: tuple[Any, ...] = (id(self.sender),)
        if messages is not self.messages:
            peer += ("processed",)  # Hooks of the agent made another list of its history.
        return images.history(self.span, self.agent, messages, *peer)


Attempt: TypeAlias = native.Attempt
"""A reply function at work: a scope within a `Reply`. It has no span until it does something, or for good."""


def reply(
    function: str,
    agent: Any,
    /,
    messages: Any = None,
    sender: Any = None,
    exclude: Any = (),
    *args: Any,
    **kwargs: Any,
) -> Steps:
    """REPLY: `agent` replies to `sender`."""
    outer = innermost(Reply)
    if outer is not None and outer.agent is agent:
        outer.exclude = exclude  # An override of `generate_reply` calls the one that it overrides.
        return
    chat = Chat.innermost()
    if chat is not None:
        chat.before_reply(agent)
    parent = here()
    if parent is None:
        return
    if messages is None:
        messages = agent._oai_messages.get(sender)
    about = {**sender_and_recipient(sender, agent), keys.GEN_AI_AGENT_NAME: name_of(agent)}
    attributes = {keys.REPLY_FUNCTION: function, **about, **internal(agent)}
    if isinstance(messages, list):
        attributes[keys.MESSAGES_START] = images.history(parent, agent, messages, id(sender))
    if chat is not None and chat.max_turns is None:
        attributes[keys.EXCHANGE] = chat.count
    span = parent.start_child(SpanKind.REPLY, attributes)
    scope = Reply(span, function, agent, sender, messages)
    scope.exclude, scope.about = exclude, about
    current.set(scope)
    result, error = yield span
    if error is None:
        span.set_attributes({keys.REPLY: images.by_reference(result), keys.MESSAGES_END: scope.history(messages)})


def attempt_opened(attempt: Attempt) -> SpanContext | None:
    """REPLY_FUNCTION: one function tried during a reply. It began when it was called."""
    reply, tried = attempt.outer, attempt.trial
    if reply.span is None:
        return None
    attributes = {**reply.about, **_named(tried), keys.MESSAGES: reply.history(attempt.messages)}
    span: SpanContext = reply.span.start_child(SpanKind.REPLY_FUNCTION, attributes, start_ns=attempt.started_ns)
    return span


def attempt_ended(attempt: Attempt, result: Any, error: BaseException | None) -> None:
    """Record whether a reply function that did not decline at once replied, and what."""
    span = attempt.opened() if error is not None else attempt.span
    outcome: dict[str, Any] = {}
    try:
        if error is None:
            final, message = result
            outcome[keys.FINAL] = bool(final)
            if final or message is not None:
                outcome[keys.REPLY] = images.by_reference(message)
    finally:
        reply = attempt.outer
        if span is not None:
            span.set_attributes(outcome)
            span.end(error)
        elif reply.span is not None:
            attributes = {**reply.about, **_named(attempt.trial), **outcome}
            now = native.clock_ns()
            reply.span.add_brief_child(SpanKind.REPLY_FUNCTION, attributes, attempt.started_ns, now)


def _named(tried: Any) -> dict[str, Any]:
    return {keys.REPLY_FUNCTION: tried.__name__, keys.REPLY_MODULE: tried.__module__}


class Functions:
    """How the installed version of AG2 reads an agent's reply functions, and what stands in their place."""

    def __init__(self, owner: Any, patches: Patches) -> None:
        readers = ("generate_reply", "a_generate_reply", "_get_sync_funcs_to_skip_in_async_chat")
        self.readers = {_code(owner, name) for name in readers if hasattr(owner, name)}
        self.is_coroutine = _coroutine_test(owner)
        self.patches = patches
        self.groups = groups.run_functions()
        self.plain: dict[Any, Any] = {}
        self.coroutines: dict[Any, Any] = {}
        for name in DECLINING:
            self._prepare(vars(owner).get(name))
            self._prepare(vars(owner).get(f"a_{name}"))

    def _prepare(self, function: Any) -> None:
        """AG2's own functions are many agents': what stands in their place is made once."""
        if function is not None:
            prepared = self.coroutines if self.is_coroutine(function) else self.plain
            prepared[function] = self._tried(function, at_once=False)

    def attribute(self) -> property:
        """Make the attribute `_reply_func_list` of agents, with a view of its own for AG2's readers."""

        def read(agent: Any) -> Any:
            try:
                registered = agent.__dict__["_reply_func_list"]
            except KeyError:
                raise AttributeError(f"{type(agent).__name__!r} has no attribute '_reply_func_list'") from None
            if sys._getframe(1).f_code in self.readers:
                scope = current.get()
                if isinstance(scope, Reply) and scope.agent is agent:
                    return self.view(scope, registered)
            return registered

        def write(agent: Any, registered: Any) -> None:
            agent.__dict__["_reply_func_list"] = registered

        def delete(agent: Any) -> None:
            del agent.__dict__["_reply_func_list"]

        return property(read, write, delete)

    def view(self, reply: Reply, registered: Any) -> Iterator[Any]:
        """Yield the registered functions, watched, without those excluded; as lazy as the list that it reads."""
        for entry in registered:
            try:
                function = entry["reply_func"]
                if function in reply.exclude:
                    continue
                in_its_place = self._in_the_place_of(function, reply)
                if in_its_place is not function:
                    entry = {**entry, "reply_func": in_its_place}
            except Exception as error:
                report("a reply function", error)
            yield entry

    def _in_the_place_of(self, function: Any, reply: Reply) -> Any:
        """Answer the same for the whole reply: AG2 reads the list several times and compares what it finds."""
        if type(function) is FunctionType:
            if function in self.plain:
                return self.plain[function]
            if function in self.coroutines:
                return self.coroutines[function] if reply.is_async else function
        if id(function) not in reply.watched:
            reply.watched[id(function)] = self._tried(function, at_once=True)
        return reply.watched[id(function)]

    def _tried(self, function: Any, *, at_once: bool) -> Any:
        kind = type(function)
        name = getattr(function, "__name__", None) or kind.__name__
        module = getattr(function, "__module__", None) or kind.__module__
        is_coroutine = self.is_coroutine(function)
        inner = self._watched_within(function, name, is_coroutine)
        trial = native.Trial(
            inner,
            self.patches.switch,
            SpanKind.REPLY_FUNCTION,
            within=Reply,
            attributes={keys.REPLY_FUNCTION: name, keys.REPLY_MODULE: module, keys.FINAL: False},
            open=attempt_opened,
            ended=attempt_ended,
            at_once=at_once,
        )
        in_its_place = awaited(inner, trial) if is_coroutine else trial
        for one in {trial, in_its_place}:
            one.__name__, one.__module__, one.__wrapped__ = name, module, function
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


# AG2's reply functions that decline at a glance, mostly. Each has a twin with `a_` before.
DECLINING = (
    "generate_oai_reply",
    "generate_tool_calls_reply",
    "generate_function_call_reply",
    "check_termination_and_human_reply",
)


def _code(owner: Any, name: str) -> CodeType:
    code: CodeType = inspect.unwrap(getattr(owner, name)).__code__
    return code


def _coroutine_test(owner: Any) -> Callable[[Any], bool]:
    """How this version of AG2 tells a coroutine function from others."""
    function = inspect.unwrap(owner.a_generate_reply)
    test: Callable[[Any], bool] | None = function.__globals__.get("is_coroutine_callable")
    used = "is_coroutine_callable" in function.__code__.co_names
    return test if used and test is not None else inspect.iscoroutinefunction
