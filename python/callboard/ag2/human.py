"""A human being asked: `human_input`, which lasts as long as the human takes."""

from __future__ import annotations

from typing import Any

from callboard import SpanKind

from . import keys
from .agents import AGENT, name_of
from .patching import Patches, Steps
from .scope import Scope, current, here, innermost


def install(patches: Patches) -> None:
    """Watch the methods that ask; programs override them to ask in a way of their own."""
    patches.watch(f"{AGENT}.get_human_input", human_input, overrides=True)
    patches.watch(f"{AGENT}.a_get_human_input", human_input, overrides=True)


class HumanInput(Scope):
    """A human being asked on behalf of an agent."""

    __slots__ = ()


def human_input(function: str, agent: Any, /, prompt: Any = None, *args: Any, **kwargs: Any) -> Steps:
    """human_input, from the question to the answer."""
    outer = innermost(HumanInput)
    if outer is not None and outer.agent is agent:
        return  # An override of the method calls the one that it overrides.
    parent = here()
    if parent is None:
        return
    span = parent.start_child(SpanKind.HUMAN_INPUT, {keys.GEN_AI_AGENT_NAME: name_of(agent), keys.HUMAN_PROMPT: prompt})
    current.set(HumanInput(span, agent))
    result, error = yield span
    if error is None:
        span.set_attribute(keys.HUMAN_RESPONSE, result)
