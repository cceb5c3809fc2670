"""A swarm, as AG2 had it through 0.13, traced: each hand-off, and what it depended on.

Newer versions have groups instead: hand_offs.py. What is printed at the end comes from a provider that is written here.
The answers come from a script on this machine, so that it needs no key. (No `annotations` from `__future__` here: AG2
reads those of tools as they are.)
"""

import sys
import warnings
from typing import Any

from autogen import ConversableAgent
from callboard import EventKind, InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import Answer, ModelServer, Rule, ToolCall

try:
    from autogen.agentchat.contrib import swarm_agent as swarm  # type: ignore[attr-defined]  # not in the newest
except ImportError:
    sys.exit("This AG2 has no swarm any more: pip install 'ag2[openai]==0.13.4'")

SCRIPT = [
    Rule([Answer(tool_calls=[ToolCall("transfer_Desk_to_Clerk")])], system="You are Desk"),
    Rule([Answer(tool_calls=[ToolCall("look_up", {"number": 7})])], system="You are Clerk"),
    Rule(["We send you a new one."], system="You are Boss"),
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
    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Help desk"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }

        def look_up(number: int) -> swarm.SwarmResult:
            """Looks up an order."""
            return swarm.SwarmResult(values=f"Order {number} is a piano.", agent=boss)

        desk, clerk, boss = agents = [
            ConversableAgent(
                name, f"You are {name}.", llm_config=llm_config, functions=[look_up] if name == "Clerk" else []
            )
            for name in ("Desk", "Clerk", "Boss")
        ]
        swarm.register_hand_off(desk, swarm.OnCondition(clerk, "When it is about an order"))
        swarm.initiate_swarm_chat(desk, "My order 7 is out of tune.", agents)

    print("\nHand-offs:", *hand_offs.lines, sep="\n  ")


if __name__ == "__main__":
    warnings.simplefilter("ignore", DeprecationWarning)  # AG2 tells that the swarm is on its way out.
    main()
