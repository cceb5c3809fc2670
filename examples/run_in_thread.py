"""Chats that AG2 runs in threads of its own (`run`, `run_group_chat`), traced: they are in the run that started them.

The answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from autogen import ConversableAgent
from autogen.agentchat import run_group_chat
from autogen.agentchat.group import AgentTarget, TerminateTarget
from autogen.agentchat.group.patterns import DefaultPattern
from callboard import CostTrackerProvider, InstrumentationManager, MermaidDiagramProvider, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(["Salt it.", "Twelve minutes."], system="You are Cook"),
    Rule(["And pepper."], system="You are Waiter"),
]


def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(cost_provider)
    manager.register_provider(mermaid_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Kitchen"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        cook, waiter = (
            ConversableAgent(name, f"You are {name}.", llm_config=llm_config, human_input_mode="NEVER")
            for name in ("Cook", "Waiter")
        )
        guest = ConversableAgent("Guest", llm_config=False, human_input_mode="NEVER")

        cook.handoffs.set_after_work(AgentTarget(waiter))
        pattern = DefaultPattern(initial_agent=cook, agents=[cook, waiter], group_after_work=TerminateTarget())
        run_group_chat(pattern, messages="The soup is bland.", max_rounds=5).process()

        response = guest.run(cook, message="How long does it cook?", max_turns=1)
        response.process()

        print(f"\nAnswer: {response.summary}")
        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)\n")
        print(mermaid_provider.generate_sequence_diagram())


if __name__ == "__main__":
    main()
