"""A CaptainAgent, traced: which experts it had made for a task, who of all is AG2's own, and what each agent cost.

A builder of AG2's makes a team for it, which solves the task in a group chat of its own. AG2's sums leave all of that
out. The answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

import tempfile
from typing import Any

from autogen import LLMConfig, UserProxyAgent
from autogen.agentchat.contrib.captainagent import CaptainAgent
from callboard import CostTrackerProvider, EventKind, InstrumentationManager, TelemetryProvider, telemetry_context
from model_server import Answer, ModelServer, Rule, ToolCall

TEAM = {"group_name": "adders", "building_task": "One who adds, one who checks.", "execution_task": "Add 20 and 22."}
SCRIPT = [
    Rule(["Ada, Bob"], last="Expert's name should follow the format"),
    Rule(["You add.", "You check."], last="[Complete this part with expert's name and skill description]"),
    Rule(["Ada adds.", "Bob checks."], last="Summarize the following expert's description"),
    Rule(["42, as Ada says."], last="Briefly summarize the conversation history"),
    Rule([Answer(tool_calls=[ToolCall("seek_experts_help", TEAM)]), "TERMINATE"], system="perfect manager"),
    Rule(["It is 42."], system="You check."),
    Rule(["42 it is."], last="Read the following conversation history"),
]


class Agents(TelemetryProvider):
    """Keeps which agents were made, and which of them are AG2's own."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def record_event(self, span_context: Any, event_kind: Any, attributes: Any = None) -> None:
        if event_kind == EventKind.AGENT_CREATION:
            own = " (AG2's own)" if attributes.get("callboard.agent.internal") else ""
            self.lines.append(attributes["ag2.agent.name"] + own)

    def start_trace(self, *args: Any, **kwargs: Any) -> None: ...
    def start_span(self, *args: Any, **kwargs: Any) -> None: ...
    def set_span_attribute(self, *args: Any) -> None: ...
    def end_span(self, context: Any) -> None: ...
    def convert_attribute_value(self, value: Any) -> None: ...


def settings(folder: str) -> dict[str, Any]:
    """How the team is built: nobody writes code, and two rounds are enough."""
    return {
        "autobuild_init_config": {"config_file_or_env": None, "builder_model": [], "agent_model": []},
        "autobuild_build_config": {
            "default_llm_config": {"temperature": 0, "cache_seed": None},
            "code_execution_config": {"use_docker": False, "work_dir": folder},
            "coding": False,
        },
        "group_chat_config": {"max_round": 2, "speaker_selection_method": "round_robin"},
        "max_turns": 2,
    }


def main() -> None:
    manager = InstrumentationManager()
    cost_provider, agents = CostTrackerProvider(), Agents()
    manager.register_provider(cost_provider)
    manager.register_provider(agents)

    with (
        ModelServer(SCRIPT) as server,
        tempfile.TemporaryDirectory() as folder,
        telemetry_context(manager, "Sum"),
    ):
        config = {"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}
        captain = CaptainAgent("Captain", llm_config=LLMConfig(config, cache_seed=None), nested_config=settings(folder))
        user = UserProxyAgent("User", code_execution_config=False, human_input_mode="NEVER")
        result = user.initiate_chat(captain, message="What is 20 + 22?", max_turns=1)

    print(f"\nAnswer: {result.summary}")
    print("Made:", *agents.lines, sep="\n  ")
    print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")
    for agent, cost in cost_provider.cost_by_agent().items():
        print(f"  {agent}: {cost / cost_provider.total_cost:.0%}")


if __name__ == "__main__":
    main()
