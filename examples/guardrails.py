"""A group with a guardrail, traced: what one agent says is stopped, and another goes on in its place.

What is printed at the end comes from a provider that is written here. The answers come from a script on this machine,
so that it needs no key.
"""

from __future__ import annotations

from typing import Any

from autogen import ConversableAgent
from autogen.agentchat import group, initiate_group_chat
from autogen.agentchat.group.guardrails import RegexGuardrail
from autogen.agentchat.group.patterns import DefaultPattern
from callboard import EventKind, InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(["The door code is 4711."], system="You are Desk"),
    Rule(["The door code is given out in person."], system="You are Guard"),
]


class HandOffs(TelemetryProvider):
    """Keeps who handed off to whom, by which rule."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def record_event(self, span_context: Any, event_kind: Any, attributes: Any = None) -> None:
        if event_kind == EventKind.SWARM_TRANSITION:
            source, target = attributes["ag2.swarm.source"], attributes["ag2.swarm.target"]
            rule, condition = attributes["ag2.transition_reason"], attributes["ag2.swarm.condition"]
            self.lines.append(f"{source} -> {target}: {rule}" + (f" ({condition})" if condition else ""))

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def end_span(self, context: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def main() -> None:
    manager, hand_offs = InstrumentationManager(), HandOffs()
    manager.register_provider(hand_offs)
    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Front desk"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        desk, guard = (ConversableAgent(name, f"You are {name}.", llm_config=llm_config) for name in ("Desk", "Guard"))
        target = group.AgentTarget(guard)
        desk.register_output_guardrail(RegexGuardrail("codes", r"\b[0-9]{4}\b", target, "That is not said here."))
        pattern = DefaultPattern(initial_agent=desk, agents=[desk, guard], group_after_work=group.TerminateTarget())
        initiate_group_chat(pattern=pattern, messages="What is the door code?", max_rounds=8)

    print("\nHand-offs:", *hand_offs.lines, sep="\n  ")


if __name__ == "__main__":
    main()
