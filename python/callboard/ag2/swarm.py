"""Hand-offs in the swarm of older versions (`autogen.agentchat.contrib.swarm_agent`, through 0.13).

They are what handoffs.py tells of groups, kept elsewhere: a tool gives an agent or a SwarmResult, a condition on the
variables leaves the next agent with the tools' executor, and an agent's work is done by `AfterWork`.
"""

from __future__ import annotations

from typing import Any

from callboard import SpanContext

from .agents import name_of
from .groups import GroupRun, name_of_callable
from .handoffs import HandOff, asking_agent, condition_of, find
from .patching import Patches, Steps
from .scope import Scope, current, enclosing, here
from .selection import Selection

MODULE = "autogen.agentchat.contrib.swarm_agent"
EXECUTOR = "_Swarm_Tool_Executor"


def install(patches: Patches) -> None:
    """Watch why a next speaker is determined; the module is not there in every version, nor in every program."""
    patches.when_loaded(MODULE, watch)


def watch(patches: Patches) -> None:
    """Watch the swarm."""
    patches.wrap_function(f"{MODULE}:_determine_next_agent", patches.watcher(determined))
    patches.wrap_function(f"{MODULE}:_create_nested_chats", patches.watcher(making))


class Making(Scope):
    """A swarm at making agents around the nested chats that an agent hands off to."""

    __slots__ = ("internal_names",)

    def __init__(self, span: SpanContext, agent: Any, names: frozenset[str]) -> None:
        super().__init__(span, agent)
        self.internal_names = names


def making(function: str, agent: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """Mark the agents that the swarm makes here as its own. It gives each the agent's name and a number."""
    span = here()
    if span is not None:
        most = max(len(agent._swarm_nested_chat_handoffs), len(agent._swarm_oncontextconditions))
        names = (f"nested_chat_{name_of(agent)}_{number}" for number in range(1, most + 1))
        current.set(Making(span, agent, frozenset(names)))
        yield None


def tool_result(executor: Any, function_name: Any, result: Any, started_ns: int) -> None:
    """A tool of a swarm has run: what it returned may be who is to go on."""
    run = enclosing(GroupRun)
    if run is None or name_of(executor) != EXECUTOR:
        return
    made = type(result).__name__ == "SwarmResult"
    target = result.agent if made else result
    if target is None or (not made and not hasattr(target, "generate_reply")):
        return
    source = asking_agent(run)
    _, rule = getattr(source, "_swarm_conditional_functions", {}).get(function_name, (None, None))
    reason = "REPLY_RESULT" if rule is None else "ON_CONDITION"
    HandOff(run, source, target, _in_words(target), condition_of(rule), reason, started_ns)


def context_conditions(function: str, agent: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """The reply function that tries an agent's conditions on the variables: the agent hands off if one holds."""
    attempt = current.get()
    result, error = yield None
    run = enclosing(GroupRun)
    if error is not None or run is None or not result[0]:
        return
    executor = find(run.group.agents, lambda agent: name_of(agent) == EXECUTOR)
    target = getattr(executor, "_swarm_next_agent", None)
    rule = find(agent._swarm_oncontextconditions, lambda rule: rule.target is target)
    if rule is not None:
        started_ns = getattr(attempt, "started_ns", None)
        HandOff(run, agent, target, _in_words(target), condition_of(rule), "ON_CONTEXT_CONDITION", started_ns)


def determined(
    function: str,
    /,
    last_speaker: Any,
    groupchat: Any,
    initial_agent: Any = None,
    use_initial_agent: Any = False,
    tool_execution: Any = None,
    swarm_agent_names: Any = (),
    user_agent: Any = None,
    swarm_after_work: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Steps:
    """Keep why the next speaker of a swarm is who it is, in the order in which AG2 comes to it."""
    selection, run = current.get(), enclosing(GroupRun)
    if not isinstance(selection, Selection) or run is None:
        return
    last = groupchat.messages[-1]
    waiting = getattr(tool_execution, "_swarm_next_agent", None)
    if use_initial_agent:
        selection.reason = "Initial agent"
    elif "tool_calls" in last:
        selection.reason = "Tool calls"
    elif waiting is not None:
        began = find(reversed(run.hand_offs), lambda hand_off: hand_off.target is waiting)
        if began is not None:
            run.take(began)
            selection.reason = began.reason
    elif last.get("role") == "tool":
        selection.reason = "Return after tool calls"
    elif user_agent is not None and last_speaker is user_agent:
        selection.reason = "Return after user"
    else:
        selection.reason = "AFTER_WORK"
    chosen, error = yield None
    if selection.reason == "AFTER_WORK" and waiting is None and error is None:
        source = _last_of_the_swarm(groupchat, swarm_agent_names)
        rule = getattr(source, "_swarm_after_work", None) or swarm_after_work
        rule = getattr(rule, "agent", rule)
        condition = name_of_callable(rule) if callable(rule) and not hasattr(rule, "generate_reply") else None
        HandOff(run, source, chosen, _in_words(chosen, rule), condition, "AFTER_WORK", selection.started_ns)


def _last_of_the_swarm(group: Any, names: Any) -> Any:
    said = (message.get("name") for message in reversed(group.messages))
    name = find(said, lambda name: name in names and name != EXECUTOR)
    return find(group.agents, lambda agent: name_of(agent) == name)


def _in_words(target: Any, rule: Any = None) -> str | None:
    """Name a target: an agent, the name of one, or one of AG2's options, such as `TERMINATE`."""
    option = rule if type(rule).__name__ == "AfterWorkOption" else target
    if type(option).__name__ == "AfterWorkOption":
        return str(option.name)
    return target if isinstance(target, str) else name_of(target)
