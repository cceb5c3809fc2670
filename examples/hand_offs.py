"""A help desk that hands off in the four ways that AG2 has, traced: each hand-off, and what it depended on.

What is printed at the end comes from a provider that is written here. The answers come from a script on this machine,
so that it needs no key. (No `annotations` from `__future__` here: AG2 reads those of tools as they are.)
"""

from typing import Any

from autogen import ConversableAgent
from autogen.agentchat import group, initiate_group_chat
from autogen.agentchat.group.patterns import DefaultPattern
from callboard import EventKind, InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import Answer, ModelServer, Rule, ToolCall

SCRIPT = [
    Rule([Answer(tool_calls=[ToolCall("transfer_to_Clerk_1")])], system="You are Desk"),
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


def look_up(number: int, context_variables: group.ContextVariables) -> group.ReplyResult:
    """Looks up an order."""
    context_variables["expensive"] = True
    return group.ReplyResult(
        message=f"Order {number} is a piano.",
        target=group.AgentNameTarget("Judge"),
        context_variables=context_variables,
    )


def main() -> None:
    manager, hand_offs = InstrumentationManager(), HandOffs()
    manager.register_provider(hand_offs)
    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Help desk"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        desk, clerk, judge, boss = agents = [
            ConversableAgent(
                name, f"You are {name}.", llm_config=llm_config, functions=[look_up] if name == "Clerk" else []
            )
            for name in ("Desk", "Clerk", "Judge", "Boss")
        ]
        about_orders = group.StringLLMCondition(prompt="When it is about an order")
        desk.handoffs.add_llm_condition(group.OnCondition(target=group.AgentTarget(clerk), condition=about_orders))
        expensive = group.StringContextCondition(variable_name="expensive")
        judge.handoffs.add_context_condition(
            group.OnContextCondition(target=group.AgentTarget(boss), condition=expensive)
        )
        variables = group.ContextVariables(data={"expensive": False})
        pattern = DefaultPattern(initial_agent=desk, agents=agents, context_variables=variables)
        initiate_group_chat(pattern=pattern, messages="My order 7 is out of tune.", max_rounds=12)

    print("\nHand-offs:", *hand_offs.lines, sep="\n  ")


if __name__ == "__main__":
    main()
