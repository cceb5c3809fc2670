"""Hand-offs in a group: SWARM_ON_CONDITION for those by a condition, SWARM_TRANSITION for all.

A hand-off begins in one turn of a group chat and shows in the choice of the next speaker:

    ON_CONDITION           the model called a function that AG2 made of an `OnCondition`
    ON_CONTEXT_CONDITION   an `OnContextCondition` on the group's variables held before the agent replied
    REPLY_RESULT           a tool returned who goes on
    Guardrail              a guardrail stopped what the agent was given, or what it said
    AFTER_WORK             the agent had nothing more to hand off: its own rule applies, or the group's

The first two are hand-offs by a condition, and have a span. It is the group chat's child, as it crosses rounds. It
runs from the tool's start, or from the evaluation of the condition, to the choice, and SWARM_TRANSITION is at its end.
The other three have no span: their SWARM_TRANSITION is in the round in which the next speaker is chosen, as
AGENT_TRANSITION is. Where two hand-offs begin in one turn, AG2 takes the later one. `Selection` gets the rule whose
target AG2 resolves.
"""

from __future__ import annotations

from typing import Any

from callboard import EventKind, SpanContext, SpanKind, current_span
from callboard._load import native

from . import keys
from .agents import name_of
from .groups import GROUP, GroupRun
from .patching import Patches, Steps
from .scope import Scope, current, enclosing
from .selection import Selection

UTILS = "autogen.agentchat.group.group_utils"
TARGET = "autogen.agentchat.group.targets.transition_target:TransitionTarget"


def install(patches: Patches) -> None:
    """Watch targets of hand-offs being set and resolved, and why a next speaker is determined."""
    patches.wrap_function(f"{UTILS}:determine_next_agent", patches.watcher(determined))
    patches.watch(f"{TARGET}.resolve", resolved, overrides=True)
    patches.watch("autogen.agentchat.group.group_tool_executor:GroupToolExecutor.set_next_target", target_set)
    for name in ("_run_input_guardrails", "_run_output_guardrails"):
        patches.watch(f"{GROUP}.{name}", guardrails)


BY_A_CONDITION = frozenset({"ON_CONDITION", "ON_CONTEXT_CONDITION"})
"""The rules that are a condition: a hand-off by one of them has a span."""


class HandOff:
    """A hand-off that has begun, until the next speaker is chosen."""

    __slots__ = ("about", "is_overridden", "reason", "run", "span", "target")

    def __init__(
        self,
        run: GroupRun,
        source: Any,
        target: Any,
        target_name: Any,
        condition: str | None,
        reason: str,
        started_ns: int | None,
    ) -> None:
        self.run = run
        self.target = target
        self.reason = reason
        self.is_overridden = False
        self.about = {
            keys.SWARM_SOURCE: name_of(source),
            keys.SWARM_SOURCE_ID: str(id(source)),
            keys.SWARM_TARGET: target_name,
            keys.SWARM_CONDITION: condition,
            keys.TRANSITION_REASON: reason,
        }
        self.span: SpanContext | None = None
        if run.span is not None and reason in BY_A_CONDITION:
            attributes = {**self.about, keys.GEN_AI_AGENT_NAME: name_of(source)}
            self.span = run.span.start_child(
                SpanKind.SWARM_ON_CONDITION, attributes, current=False, start_ns=started_ns
            )
        run.hand_offs.append(self)

    def end(self, chosen: Any, error: BaseException | None = None) -> None:
        """Record SWARM_TRANSITION, and end the span if there is one.

        `chosen` is None where the chat ends here. A hand-off that another one took the place of has no transition.
        """
        if self.is_overridden:
            if self.span is not None:
                self.span.set_attribute(keys.SWARM_OVERRIDDEN, True)
        else:
            self._record_transition(chosen)
        if self.span is not None:
            self.span.end(error)

    def _record_transition(self, chosen: Any) -> None:
        if chosen is not None:
            self.about[keys.NEXT_SPEAKER] = name_of(chosen)
            self.about[keys.NEXT_SPEAKER_ID] = str(id(chosen))
        span = self.span or self.run.round or self.run.span
        if span is not None:
            span.record_event(EventKind.SWARM_TRANSITION, self.about)


def tool_result(executor: Any, function_name: Any, result: Any, started_ns: int) -> None:
    """A tool of a group has run: what it returned may be a hand-off."""
    run = enclosing(GroupRun)
    target = _target_in(result)
    if run is None or target is None:
        return
    source = asking_agent(run)
    rule = find(_rules(source, "llm_conditions"), lambda rule: rule.llm_function_name == function_name)
    reason = "REPLY_RESULT" if rule is None else "ON_CONDITION"
    HandOff(run, source, target, target.display_name(), condition_of(rule), reason, started_ns)


class Guards(Scope):
    """The guardrails of an agent at work."""

    __slots__ = ("rules", "started_ns")

    def __init__(self, span: SpanContext | None, agent: Any, rules: Any) -> None:
        super().__init__(span, agent)
        self.rules = rules
        self.started_ns = native.clock_ns()


def guardrails(function: str, group: Any, /, agent: Any, *args: Any, **kwargs: Any) -> Steps:
    """An agent's guardrails look at what it is given, or at what it says."""
    rules = agent.input_guardrails if "input" in function else agent.output_guardrails
    if rules:
        current.set(Guards(current_span(), agent, rules))
        yield None


def target_set(function: str, executor: Any, /, next_target: Any, *args: Any, **kwargs: Any) -> Steps:
    """A guardrail is activated; or a condition on the group's variables holds, and the agent hands off at once."""
    scope, run = current.get(), enclosing(GroupRun)
    if run is None or scope is None:
        return
    if isinstance(scope, Guards):
        rules, reason = scope.rules, "Guardrail"
    else:
        rules, reason = _rules(scope.agent, "context_conditions"), "ON_CONTEXT_CONDITION"
    rule = find(rules, lambda rule: rule.target is next_target)
    if rule is not None:
        name, started_ns = next_target.display_name(), getattr(scope, "started_ns", None)
        HandOff(run, scope.agent, next_target, name, condition_of(rule), reason, started_ns)
    return
    yield


def determined(
    function: str,
    /,
    last_speaker: Any,
    groupchat: Any,
    initial_agent: Any = None,
    use_initial_agent: Any = False,
    tool_executor: Any = None,
    *args: Any,
    **kwargs: Any,
) -> Steps:
    """Keep why the next speaker of a group is who it is, as AG2 comes to it."""
    selection = current.get()
    if not isinstance(selection, Selection):
        return
    last = groupchat.messages[-1]
    forced = getattr(getattr(last_speaker, "_group_manager", None), "_next_target_force", None)
    if use_initial_agent:
        selection.reason = "Initial agent"
    elif "tool_calls" in last:
        selection.reason = "Tool calls"
    elif forced is not None:
        selection.reason = "REPLY_RESULT"
    elif not tool_executor.has_next_target():
        selection.reason = "Return after tool calls" if last["role"] == "tool" else "Return after user"
    yield None


def resolved(function: str, target: Any, /, groupchat: Any, current_agent: Any, *args: Any, **kwargs: Any) -> Steps:
    """A target becomes a speaker: a hand-off that began before, or the rule for when an agent's work is done."""
    selection = current.get()
    run = enclosing(GroupRun)
    if not isinstance(selection, Selection) or run is None:
        return
    began = find(reversed(run.hand_offs), lambda hand_off: hand_off.target is target)
    if began is None:
        rule = find(_rules(current_agent, "after_works"), lambda rule: rule.target is target)
        words = target.display_name(), condition_of(rule)
        reason = "REPLY_RESULT" if selection.reason == "REPLY_RESULT" else "AFTER_WORK"
        began = HandOff(run, current_agent, target, *words, reason, selection.started_ns)
    run.take(began)
    selection.reason = began.reason
    return
    yield


def condition_of(rule: Any) -> str | None:
    """Say in words what a hand-off depends on: a prompt, a variable, an expression; None where on nothing."""
    condition = getattr(rule, "condition", None)
    if isinstance(condition, str):
        return condition
    for name in ("prompt", "context_str", "variable_name", "expression", "template", "__name__"):
        words = getattr(condition, name, None)
        if words is not None:
            return str(getattr(words, "template", None) or getattr(words, "expression", None) or words)
    return None if condition is None else type(condition).__name__


def asking_agent(run: GroupRun) -> Any:
    """Find the agent whose message asked for the tools that are run."""
    name = run.group.messages[-1].get("name") if run.group.messages else None
    return find(run.group.agents, lambda agent: agent.name == name)


def find(all_of_them: Any, fits: Any) -> Any:
    """Return the first that fits; None where none does."""
    return next((one for one in all_of_them if fits(one)), None)


def _target_in(result: Any) -> Any:
    """Find the target in what a tool returned: a ReplyResult's, or itself."""
    names = {cls.__name__ for cls in type(result).__mro__}
    if "ReplyResult" in names:
        return result.target
    return result if "TransitionTarget" in names else None


def _rules(agent: Any, kind: str) -> Any:
    return getattr(getattr(agent, "handoffs", None), kind, None) or ()
