"""AG2's own figure of what a chat cost, beside callboard's, and where the two differ.

AG2 adds up what the two agents of a chat have used since they were made. It leaves out the agents that they ask
meanwhile (a group's, a nested chat's, those that select a speaker) and counts an earlier chat again. So nothing is
summed from it; it is told because programs show it.

    ag2.chat_result.*    what AG2 says, without what a cache answered
    callboard.chat.*     what all the calls within the chat cost
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

from callboard import SpanContext

from . import keys
from .agents import name_of
from .faults import guard
from .patching import Patches, Steps
from .scope import Scope, current, here
from .tally import Spent, nearest

MOST_RUNS = 64
"""Of how many runs it is kept where the figures differ; beyond, the oldest go."""

SAME_USD = 1e-9
"""A difference in dollars that is none: AG2 adds floats."""

GROUP_CHATS = "autogen.agentchat.group.multi_agent_chat"


def install(patches: Patches) -> None:
    """Watch the functions that replace the figure of the chat that they start."""
    patches.when_loaded(GROUP_CHATS, _watch)


def _watch(patches: Patches) -> None:
    if hasattr(sys.modules[GROUP_CHATS], "gather_usage_summary"):  # Older versions leave the figure as it is.
        for name in ("initiate_group_chat", "a_initiate_group_chat"):
            patches.wrap_function(f"{GROUP_CHATS}:{name}", patches.watcher(group_start))


class GroupStart(Scope):
    """The function at work that starts a pattern's chat, and then reports for all agents of the group."""

    __slots__ = ()


def group_start(function: str, /, *args: Any, **kwargs: Any) -> Steps:
    """Note that the chat within gets another figure of AG2's. There is no span for it."""
    span = here()
    if span is not None:
        current.set(GroupStart(span, None))
        yield None


class Reported(NamedTuple):
    """What AG2 says that a chat cost."""

    cost_usd: float
    input_tokens: int
    output_tokens: int

    def attributes(self) -> dict[str, Any]:
        """Tell it in attributes."""
        return {
            keys.CHAT_RESULT_COST: self.cost_usd,
            keys.CHAT_RESULT_INPUT_TOKENS: self.input_tokens,
            keys.CHAT_RESULT_OUTPUT_TOKENS: self.output_tokens,
        }

    def differs(self, spent: Spent) -> bool:
        """Whether callboard counted something else. A cost that callboard does not know is no difference."""
        if (self.input_tokens, self.output_tokens) != (spent.input_tokens, spent.output_tokens):
            return True
        return spent.cost_usd is not None and abs(self.cost_usd - spent.cost_usd) > SAME_USD


class Difference(NamedTuple):
    """A chat of which AG2 and callboard say different things."""

    chat: str
    reported: Reported
    spent: Spent


class Differences:
    """Those of one run: how many, and the largest."""

    __slots__ = ("count", "largest")

    def __init__(self, first: Difference) -> None:
        self.count = 0
        self.largest = first

    def add(self, one: Difference) -> None:
        """Add one."""
        self.count += 1
        if _size(one) > _size(self.largest):
            self.largest = one


def compared(chat: Scope, recipient: Any, result: Any, spent: Spent) -> dict[str, Any]:
    """Give AG2's figure and callboard's as attributes; keep it where they differ, of a chat that is within no other."""
    attributes = spent.attributes(keys.OF_CHAT)
    with guard("what AG2 says that a chat cost"):
        reported = _reported(_usage_of(chat, recipient, result))
        if reported is not None and (spent.calls or any(reported)):
            attributes.update(reported.attributes())
            if chat.span is not None and reported.differs(spent) and nearest(chat.outer) is None:
                title = f"{name_of(chat.agent)} → {name_of(recipient)}"
                _keep(chat.span, Difference(title, reported, spent))
    return attributes


def differences(run: str) -> Differences | None:
    """Return where the figures of a run differ, by its trace id; None where they do not."""
    return _differences.get(run)


def _usage_of(chat: Scope, recipient: Any, result: Any) -> Any:
    """Find AG2's figure: the result's, or what it is about to be replaced with."""
    if isinstance(chat.outer, GroupStart) and hasattr(recipient, "groupchat"):
        return sys.modules[GROUP_CHATS].gather_usage_summary([*recipient.groupchat.agents, recipient])
    return getattr(result, "cost", None)


def _reported(usage: Any) -> Reported | None:
    """Read a figure. AG2's own tracing may have taken the total out of it."""
    told = usage.get("usage_excluding_cached_inference") if isinstance(usage, dict) else None
    if not isinstance(told, dict):
        return None
    models = [one for one in told.values() if isinstance(one, dict)]
    total = told.get("total_cost")
    return Reported(
        float(sum(one.get("cost") or 0 for one in models) if total is None else total),
        sum(one.get("prompt_tokens") or 0 for one in models),
        sum(one.get("completion_tokens") or 0 for one in models),
    )


def _keep(span: SpanContext, one: Difference) -> None:
    run = span.trace_id
    kept = _differences.get(run)
    if kept is None:
        kept = _differences[run] = Differences(one)
        for oldest in list(_differences)[:-MOST_RUNS]:
            _differences.pop(oldest, None)
    kept.add(one)


def _size(one: Difference) -> tuple[float, int]:
    reported, spent = one.reported, one.spent
    tokens = spent.input_tokens + spent.output_tokens - reported.input_tokens - reported.output_tokens
    return abs((spent.cost_usd or 0.0) - reported.cost_usd), abs(tokens)


_differences: dict[str, Differences] = {}
