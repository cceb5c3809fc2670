"""A chat among several agents: GROUPCHAT_CREATION, GROUP_CHAT, its ROUNDs.

A group chat is a reply function of its manager (`run_chat`, `a_run_chat`), which is a loop: a turn begins by
putting the message into the group's list (`GroupChat.append`), goes on with sending it to everybody, choosing
who speaks next (see selection.py) and letting that agent reply, and ends when the next one begins. That is a
ROUND. The manager works on a copy of the program's GroupChat.

A manager of the program's own may have another reply function, which calls AG2's `run_chat`. That is recognized by its
first turn: `run_chat` is on the stack then.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from functools import cache
from types import CodeType, FrameType
from typing import Any

from callboard import EventKind, SpanContext, SpanKind, current_span
from callboard._load import native

from . import keys
from .agents import internal, name_of
from .patching import Patches, Steps
from .scope import Scope, current, here

MODULE = "autogen.agentchat.groupchat"
GROUP = f"{MODULE}:GroupChat"


def install(patches: Patches) -> None:
    """Watch group chats being made, their turns, and how they end."""
    patches.watch(f"{GROUP}.__post_init__", groupchat_creation)
    patches.watch(f"{GROUP}.append", turn, overrides=True)
    patches.note_making("autogen.events.agent_events:TerminationEvent", termination)


def run_functions() -> tuple[Any, Any]:
    """Return the two reply functions that are a group chat, the plain and the async one."""
    manager = importlib.import_module(MODULE).GroupChatManager
    return vars(manager).get("run_chat"), vars(manager).get("a_run_chat")


class GroupRun(Scope):
    """A group chat in progress; `agent` is its manager."""

    __slots__ = ("count", "function", "group", "hand_offs", "length", "reason", "round", "speaker")

    def __init__(self, span: SpanContext, function: str, manager: Any, group: Any) -> None:
        super().__init__(span, manager)
        self.function = function
        self.group = group
        self.round: SpanContext | None = None
        self.count = 0
        self.length = -1
        self.reason: str | None = None
        self.speaker: Any = None
        self.hand_offs: list[Any] = []
        """Those that have begun, until the next speaker is chosen; see handoffs.py."""

    def speaker_before(self, last_speaker: Any, selected: Any) -> Any:
        """Find from whom the turn moves to `selected`. None while it is with an agent of AG2's own, and comes back."""
        if not internal(last_speaker):
            self.speaker = last_speaker
        return None if internal(selected) else self.speaker or last_speaker

    def take(self, hand_off: Any) -> None:
        """Take up a hand-off that decides who speaks next; it overrides the others."""
        for begun in self.hand_offs:
            begun.is_overridden = begun is not hand_off

    def hand_over(self, chosen: Any, error: BaseException | None = None) -> None:
        """End the hand-offs that have begun: the next speaker is chosen, or nobody is."""
        begun, self.hand_offs = self.hand_offs, []
        for hand_off in begun:
            hand_off.end(chosen, None if is_regular_end(error) else error)

    def begin_round(self) -> None:
        """End the round that is open, and open the next."""
        self.end_round()
        if self.span is not None:
            self.count += 1
            about = {keys.CHAT_FUNCTION: self.function, keys.ROUND: self.count, keys.ROUNDS_MAX: self.group.max_round}
            self.round = self.span.start_child(SpanKind.ROUND, about)

    def end_round(self, error: BaseException | None = None) -> None:
        """End the round that is open, if one is."""
        if self.round is not None:
            self.round.end(error)
            self.round = None

    def end(self, error: BaseException | None = None) -> None:
        """End the group chat, its last round and the hand-offs that have begun in it."""
        self.hand_over(None, error)
        self.end_round(error)
        if self.span is not None:
            if self.reason is not None:
                self.span.set_attribute(keys.GROUP_TERMINATION, self.reason)
            self.span.end(error)


def groupchat_creation(function: str, group: Any, /) -> Steps:
    """GROUPCHAT_CREATION, once the group chat is what its constructor makes it."""
    _, error = yield None
    span = here()
    if error is None and span is not None:
        method = group.speaker_selection_method
        span.record_event(
            EventKind.GROUPCHAT_CREATION,
            {
                keys.GROUP_MESSAGES: len(group.messages),
                keys.GROUP_MAX_ROUND: group.max_round,
                keys.GROUP_SELECTION_METHOD: method if isinstance(method, str) else name_of_callable(method),
                keys.GROUP_AGENTS: [name_of(agent) for agent in group.agents],
            },
        )


def group_chat(
    function: str, manager: Any, /, messages: Any = None, sender: Any = None, config: Any = None, **_: Any
) -> Steps:
    """GROUP_CHAT, from the first message to the end of the last round. `config` is the group."""
    run = None if config is None else _begun(function, manager, sender, config)
    if run is not None:
        yield run


def turn(function: str, group: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """ROUND: a message is put into the group's list, so the turn that it ends is over."""
    run = current.get()
    if isinstance(run, native.Attempt) and (below := _run_function_below()) is not None:
        run, attempt = _begun(below.f_code.co_name, below.f_locals["self"], below.f_locals["sender"], group), run
        if run is not None:
            attempt.end_with(run)
    if isinstance(run, GroupRun) and run.group is group and current_span() in (run.span, run.round):
        if run.length == len(group.messages):
            return  # An override of `append` calls the one that it overrides.
        run.length = len(group.messages)
        run.begin_round()
    return
    yield


def _begun(function: str, manager: Any, sender: Any, group: Any) -> GroupRun | None:
    """Begin a group chat, which is current from now on. None where no run is."""
    parent = here()
    if parent is None:
        return None
    span = parent.start_child(
        SpanKind.GROUP_CHAT,
        {
            keys.CHAT_FUNCTION: function,
            keys.SENDER: name_of(manager),
            keys.SENDER_ID: str(id(manager)),
            keys.AGENTS: [name_of(agent) for agent in group.agents],
            keys.GROUP_INTERNAL_AGENTS: [name_of(agent) for agent in group.agents if is_internal(agent)],
            keys.GROUP_OPENED_BY: name_of(sender),
            keys.GEN_AI_AGENT_NAME: name_of(manager),
        },
    )
    run = GroupRun(span, function, manager, group)
    current.set(run)
    return run


@cache
def _run_codes() -> frozenset[CodeType]:
    """The code of AG2's functions that are a group chat."""
    return frozenset(inspect.unwrap(function).__code__ for function in filter(None, run_functions()))


def _run_function_below() -> FrameType | None:
    """Find the function of AG2's that adds this turn to its group chat; None where a program does so itself."""
    frame: FrameType | None = sys._getframe(1)
    for _ in range(MAX_FRAMES_OF_APPEND):
        if frame is None or frame.f_code in _run_codes():
            return frame
        frame = frame.f_back
    return None


MAX_FRAMES_OF_APPEND = 8
"""How far AG2's function is looked for on the stack. Between are our wrapper, and overrides of `append` with theirs."""


def termination(*args: Any, termination_reason: str = "", sender: Any = None, **kwargs: Any) -> None:
    """Keep why a group chat ends, in the draft's words where it has some."""
    run = current.get()
    if isinstance(run, GroupRun) and run.agent is sender:
        known = (words for beginning, words in _ENDINGS if termination_reason.startswith(beginning))
        run.reason = next(known, termination_reason)


def is_regular_end(error: BaseException | None) -> bool:
    """Whether an error is AG2's way of saying that nobody is to speak next, which ends a group chat."""
    return type(error).__name__ == "NoEligibleSpeakerError"


def is_internal(agent: Any) -> bool:
    """Whether AG2 put an agent into the group: one of its own, or who stands in for the user of a group without one."""
    return bool(internal(agent)) or name_of(agent) == "_User"


def name_of_callable(function: Any) -> str:
    """Name what a program gave as its way of selecting a speaker."""
    return getattr(function, "__name__", None) or type(function).__name__


_ENDINGS = (
    ("Maximum rounds", "Max rounds reached"),
    ("No reply generated", "No reply"),
    ("No next speaker selected", "No eligible speaker"),
    ("Termination message", "Termination message"),
)
