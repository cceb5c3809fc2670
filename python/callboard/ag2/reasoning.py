"""Steps of reasoning: REASONING, by ReasoningAgent and CaptainAgent.

A ReasoningAgent searches a tree of thoughts with agents of its own: one expands a node, one rates it, one
carries it out. Each of these is a step, within the search that it serves; the chats and model calls of a step
lie within it. A CaptainAgent's step builds a team of experts and has them solve a part of the task.

Not every program imports these agents, so they are hooked when they are loaded.
"""

from __future__ import annotations

from typing import Any

from callboard import SpanContext, SpanKind

from . import keys
from .agents import internal, mark_internal, name_of
from .patching import Patches, Steps
from .scope import Scope, current, here, innermost

TREE_MODULE = "autogen.agents.experimental.reasoning.reasoning_agent"
TREE = f"{TREE_MODULE}:ReasoningAgent"
CAPTAIN_MODULE = "autogen.agentchat.contrib.captainagent.captainagent"
CAPTAIN = f"{CAPTAIN_MODULE}:CaptainAgent"

# The agents that these two make for their own use: the attribute of each, and its name.
_INNER = {
    "_executor": "tot_executor",
    "_user_proxy": "reasoner_user_proxy",
    "_thinker": "tot_thinker",
    "_grader": "tot_grader",
    "_prompt_rewriter": "prompt_rewriter",
    "assistant": "CaptainAgent",
    "executor": "Expert_summoner",
}


def install(patches: Patches) -> None:
    """Watch the agents that reason, as soon as the program has them."""
    patches.when_loaded(TREE_MODULE, _watch_trees)
    patches.when_loaded(CAPTAIN_MODULE, _watch_captains)


def _watch_trees(patches: Patches) -> None:
    patches.watch(f"{TREE}.__init__", making)
    patches.watch(f"{TREE}._process_prompt", question)
    for name in ("_beam_reply", "_mcts_reply"):
        patches.watch(f"{TREE}.{name}", search, overrides=True)
    patches.watch(f"{TREE}._expand", expansion, overrides=True)
    patches.watch(f"{TREE}.rate_node", rating, overrides=True)
    patches.watch(f"{TREE}.rate_batch_nodes", batch_rating, overrides=True)
    patches.watch(f"{TREE}.execute_node", execution, overrides=True)


def _watch_captains(patches: Patches) -> None:
    patches.watch(f"{CAPTAIN}.__init__", making)
    patches.watch(f"{CAPTAIN_MODULE}:CaptainUserProxyAgent._run_autobuild", team, overrides=True)


class Making(Scope):
    """An agent being made that makes others for its own use."""

    __slots__ = ("internal_names",)

    def __init__(self, span: SpanContext, agent: Any, name: Any) -> None:
        super().__init__(span, agent)
        self.internal_names = frozenset(_INNER.values()) - {name}


class Reasoning(Scope):
    """A step being done; `work` is what it is about: a node, several, or the question."""

    __slots__ = ("step", "work")

    def __init__(self, span: SpanContext, agent: Any, step: str, work: Any) -> None:
        super().__init__(span, agent)
        self.step = step
        self.work = work


def making(function: str, agent: Any, /, name: Any = None, *args: Any, **kwargs: Any) -> Steps:
    """Mark the agents that this one makes for its own use."""
    span = here()
    if span is None:
        return
    current.set(Making(span, agent, name))
    yield None
    _mark_inner(agent)


def question(function: str, agent: Any, /, *args: Any, **kwargs: Any) -> Steps:
    """Mark the inner agents of one that was made before telemetry began, before any of them has a word."""
    _mark_inner(agent)
    return
    yield


def search(function: str, agent: Any, /, prompt: Any, *args: Any, **kwargs: Any) -> Steps:
    """REASONING: the search of a tree, from the question to the answer."""
    span = _begin(function, agent, prompt, {keys.REASONING_NODE: prompt, keys.REASONING_DEPTH: 0})
    if span is not None:
        answer, error = yield span
        if error is None:
            span.set_attribute(keys.REASONING_ANSWER, answer)


def expansion(function: str, agent: Any, /, node: Any, *args: Any, **kwargs: Any) -> Steps:
    """REASONING: a node is expanded by what could be thought next."""
    span = _begin(function, agent, node, _about(node))
    if span is not None:
        nodes, error = yield span
        if error is None:
            span.set_attribute(keys.REASONING_OPTIONS, _contents(nodes))


def rating(function: str, agent: Any, /, node: Any, *args: Any, **kwargs: Any) -> Steps:
    """REASONING: a node is rated, from 0 to 1."""
    span = _begin(function, agent, node, _about(node))
    if span is not None:
        reward, error = yield span
        if error is None:
            span.set_attribute(keys.REASONING_RATING, reward)


def batch_rating(function: str, agent: Any, /, nodes: Any, *args: Any, **kwargs: Any) -> Steps:
    """REASONING: all that a node was expanded by is rated at once."""
    about = _about(nodes[0].parent) if nodes else {}
    span = _begin(function, agent, nodes, {**about, keys.REASONING_OPTIONS: _contents(nodes)})
    if span is not None:
        rewards, error = yield span
        if error is None:
            span.set_attribute(keys.REASONING_RATINGS, list(rewards))


def execution(function: str, agent: Any, /, node: Any, *args: Any, **kwargs: Any) -> Steps:
    """REASONING: a node is carried out, by a model or as code."""
    span = _begin(function, agent, node, _about(node))
    if span is not None:
        output, error = yield span
        if error is None and output is not None:
            span.set_attribute(keys.REASONING_ANSWER, output)


def team(
    function: str, proxy: Any, /, group_name: Any = None, execution_task: Any = None, *args: Any, **kwargs: Any
) -> Steps:
    """REASONING: a CaptainAgent has experts solve a task. The options are the experts' names."""
    span = _begin(function, _captain_of(proxy), execution_task, {keys.REASONING_NODE: execution_task})
    if span is not None:
        answer, error = yield span
        experts = proxy.build_history.get(group_name, {}).get("agent_configs", ())
        if experts:
            span.set_attribute(keys.REASONING_OPTIONS, [expert.get("name") for expert in experts])
        if error is None:
            span.set_attribute(keys.REASONING_ANSWER, answer)


def _begin(function: str, agent: Any, work: Any, about: dict[str, Any]) -> SpanContext | None:
    """Open a step's span; None where no run is current, or where an override calls what it overrides."""
    outer = innermost(Reasoning)
    if outer is not None and outer.agent is agent and outer.step == function and outer.work is work:
        return None
    _mark_inner(agent)
    parent = here()
    if parent is None:
        return None
    span = parent.start_child(
        SpanKind.REASONING,
        {
            keys.GEN_AI_AGENT_NAME: name_of(agent),
            keys.REASONING_STEP: function.lstrip("_"),
            **_method_of(agent),
            **about,
            **internal(agent),
        },
    )
    current.set(Reasoning(span, agent, function, work))
    return span


def _method_of(agent: Any) -> dict[str, Any]:
    method = getattr(agent, "_method", None)
    return {} if method is None else {keys.REASONING_METHOD: method}


def _about(node: Any) -> dict[str, Any]:
    return {keys.REASONING_NODE: node.content, keys.REASONING_DEPTH: node.depth}


def _contents(nodes: Any) -> list[Any]:
    return [node.content for node in nodes]


def _mark_inner(agent: Any) -> None:
    for attribute in _INNER:
        inner = getattr(agent, attribute, None)
        if inner is not None:
            mark_internal(inner)


def _captain_of(proxy: Any) -> Any:
    """Find whose proxy this is: among those who are replying, as nothing of the proxy's own tells."""
    scope = current.get()
    while scope is not None:
        if getattr(scope.agent, "executor", None) is proxy:
            return scope.agent
        scope = scope.outer
    return proxy
