"""Who speaks next in a group chat: GROUPCHAT_SELECT_SPEAKER, and AGENT_TRANSITION where the speaker changes.

A selection tells its method, its candidates, the chosen one and the reason. It is read off what AG2 calls
while it selects, not worked out a second time. Choosing by a model is a chat of two agents that AG2 makes for
it; that chat, its calls and their costs lie within the span.
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind, SpanContext, SpanKind
from callboard._load import native

from . import keys
from .agents import name_of
from .groups import GROUP, GroupRun, is_regular_end, name_of_callable
from .patching import Patches, Steps
from .scope import current, enclosing, here, innermost
from .tally import Tally


def install(patches: Patches) -> None:
    """Watch speakers being selected, and by which of the methods."""
    patches.watch(f"{GROUP}.select_speaker", select_speaker, overrides=True)
    patches.watch(f"{GROUP}.a_select_speaker", select_speaker, overrides=True)
    patches.watch(f"{GROUP}._prepare_and_select_agents", candidates)
    for name in _METHODS:
        patches.watch(f"{GROUP}.{name}", method, overrides=True)


class Selection(Tally):
    """A speaker being selected; `agent` is who selects: the group's manager."""

    __slots__ = ("candidates", "group", "last_speaker", "reason", "started_ns", "used")

    internal_names = frozenset({"checking_agent", "speaker_selection_agent"})

    def __init__(self, span: SpanContext, selector: Any, group: Any, last_speaker: Any) -> None:
        super().__init__(span, selector)
        self.group = group
        self.last_speaker = last_speaker
        self.candidates: Any = None
        self.reason: str | None = None
        self.used: set[str] = set()
        self.started_ns = native.clock_ns()

    def end(self, error: BaseException | None = None) -> None:
        """End the span. That nobody is eligible is how a group chat ends, and no failure."""
        if self.span is not None:
            self.span.end(None if is_regular_end(error) else error)

    def explained(self) -> str | None:
        """Say why the selection went as it did, in the draft's words."""
        method = self.group.speaker_selection_method
        if callable(method) and self.candidates is self.group.agents:
            return self.reason or f"Callable, {name_of_callable(method)}"
        for name, words in _METHODS.items():
            if name in self.used:
                return _UNANSWERED.get(name, words) if "next_agent" in self.used else words
        if self.candidates is None or len(self.candidates) != 1:
            return None
        if _asks_for_function(self.group):
            return "Only agent that can execute a function"
        return "Only one eligible agent"


def select_speaker(function: str, group: Any, /, last_speaker: Any, selector: Any, *args: Any, **kwargs: Any) -> Steps:
    """GROUPCHAT_SELECT_SPEAKER; then AGENT_TRANSITION in the round, where another agent is to speak."""
    outer = innermost(Selection)
    if outer is not None and outer.group is group:
        return  # An override of `select_speaker` calls the one that it overrides.
    parent = here()
    if parent is None:
        return
    method = group.speaker_selection_method
    span = parent.start_child(
        SpanKind.GROUPCHAT_SELECT_SPEAKER,
        {
            keys.LAST_SPEAKER: name_of(last_speaker),
            keys.LAST_SPEAKER_ID: str(id(last_speaker)),
            keys.SELECTOR: name_of(selector),
            keys.SELECTOR_ID: str(id(selector)),
            keys.AGENTS: [name_of(agent) for agent in group.agents],
            keys.SELECTION_METHOD: method.lower() if isinstance(method, str) else "callable",
            keys.GEN_AI_AGENT_NAME: name_of(selector),
        },
    )
    scope = Selection(span, selector, group, last_speaker)
    current.set(scope)
    selected, error = yield scope
    if scope.candidates is not None:
        span.set_attribute(keys.CANDIDATES, [name_of(agent) for agent in scope.candidates])
    span.set_attributes(scope.close().attributes(keys.OF_SELECTION))
    run = enclosing(GroupRun)
    if run is not None:
        run.hand_over(selected, error)
    if error is not None:
        return
    reason = scope.explained()
    span.set_attributes(
        {keys.SELECTED: name_of(selected), keys.SELECTED_ID: str(id(selected)), keys.TRANSITION_REASON: reason}
    )
    before = last_speaker if run is None else run.speaker_before(last_speaker, selected)
    if before is not None and before is not selected:
        parent.record_event(
            EventKind.AGENT_TRANSITION,
            {
                keys.LAST_SPEAKER: name_of(before),
                keys.LAST_SPEAKER_ID: str(id(before)),
                keys.NEXT_SPEAKER: name_of(selected),
                keys.NEXT_SPEAKER_ID: str(id(selected)),
                keys.TRANSITION_REASON: reason,
            },
        )


def candidates(function: str, group: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """Keep which agents a selection was to choose from."""
    result, error = yield None
    scope = current.get()
    if error is None and isinstance(scope, Selection) and scope.group is group:
        _, scope.candidates, _ = result


def method(function: str, group: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """Keep which of AG2's methods a selection used."""
    scope = current.get()
    if isinstance(scope, Selection) and scope.group is group:
        scope.used.add(function)
    return
    yield


def _asks_for_function(group: Any) -> bool:
    last = group.messages[-1] if group.messages else {}
    return bool(group.func_call_filter and (last.get("function_call") or last.get("tool_calls")))


# AG2's methods of selecting, and what the draft calls their use. The first that was used decides: the others also serve
# where it came to nothing.
_METHODS = {
    "_auto_select_speaker": "Auto speaker selection",
    "a_auto_select_speaker": "Auto speaker selection",
    "manual_select_speaker": "Manually selected by user",
    "random_select_speaker": "Random selection",
    "next_agent": "Round robin selection",
}

# The same, where they named nobody, and the next agent in the list was taken.
_UNANSWERED = {
    "_auto_select_speaker": "Next agent as model didn't select one",
    "a_auto_select_speaker": "Next agent as model didn't select one",
    "manual_select_speaker": "Next agent as user didn't select it manually",
}
