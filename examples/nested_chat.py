"""A reply that is a chat of its own, traced: an editor answers with what its writer and its critic say.

AG2's own sums leave out what nested chats cost. The answers come from a script on this machine, so that it needs no
key.
"""

from __future__ import annotations

from autogen import ConversableAgent
from callboard import CostTrackerProvider, InstrumentationManager, MermaidDiagramProvider, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(["The moon, a coin that nobody spends."], system="You write poems"),
    Rule(["One line is enough. Keep it."], system="You criticize poems"),
]


def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(cost_provider)
    manager.register_provider(mermaid_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Poem"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        reader = ConversableAgent("Reader", llm_config=False, human_input_mode="NEVER")
        editor = ConversableAgent("Editor", llm_config=False, human_input_mode="NEVER")
        writer = ConversableAgent(
            "Writer", system_message="You write poems.", llm_config=llm_config, human_input_mode="NEVER"
        )
        critic = ConversableAgent(
            "Critic", system_message="You criticize poems.", llm_config=llm_config, human_input_mode="NEVER"
        )
        editor.register_nested_chats(
            [
                {"recipient": writer, "message": "A poem, please.", "max_turns": 1, "summary_method": "last_msg"},
                {"recipient": critic, "message": "What do you say?", "max_turns": 1, "summary_method": "last_msg"},
            ],
            trigger=reader,
        )
        result = reader.initiate_chat(editor, message="A poem on the moon?", max_turns=1)

        print(f"\nAnswer: {result.summary}")
        print(f"AG2's own sum: {result.cost['usage_including_cached_inference']['total_cost']}")
        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")
        print(f"\n{mermaid_provider.generate_sequence_diagram()}")


if __name__ == "__main__":
    main()
