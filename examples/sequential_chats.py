"""Three chats in a row, traced: each is told what came of the ones before it, and each has its own bill.

The answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from autogen import ConversableAgent, initiate_chats
from callboard import CostTrackerProvider, InstrumentationManager, MermaidDiagramProvider, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(["It rains in Bergen, on 239 days of the year."], system="You know numbers"),
    Rule(["Bergen: 239 days of rain, 126 days of waiting for it."], system="You write"),
    Rule(["Bergen: 239 Tage Regen, 126 Tage Warten darauf."], system="You translate"),
]


def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(cost_provider)
    manager.register_provider(mermaid_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Article"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        editor = ConversableAgent("Editor", llm_config=False, human_input_mode="NEVER")
        tasks = {
            "Researcher": ("You know numbers.", "How often does it rain in Bergen?"),
            "Writer": ("You write.", "Make a line of it."),
            "Translator": ("You translate.", "Put it into German."),
        }
        chats = initiate_chats(
            [
                {
                    "sender": editor,
                    "recipient": ConversableAgent(name, manner, llm_config=llm_config, human_input_mode="NEVER"),
                    "message": task,
                    "max_turns": 1,
                    "summary_method": "last_msg",
                }
                for name, (manner, task) in tasks.items()
            ]
        )

        print("\nSummaries:", *(chat.summary for chat in chats), sep="\n  ")
        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")
        shares = {name: cost / cost_provider.total_cost for name, cost in cost_provider.cost_by_agent().items()}
        print(*(f"  {name}: {share:.0%}" for name, share in shares.items()), sep="\n")
        print(f"\n{mermaid_provider.generate_sequence_diagram()}")


if __name__ == "__main__":
    main()
