"""An agent that reasons, traced: what it thought of, how it rated that, and what the thinking cost.

A ReasoningAgent has agents of its own, for thinking and for grading, whose calls AG2's own sums leave out. The
thoughts come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from autogen import ConversableAgent
from autogen.agents.experimental import ReasoningAgent
from callboard import CostTrackerProvider, InstrumentationManager, MermaidDiagramProvider, telemetry_context
from model_server import ModelServer, Rule

THOUGHTS = """REFLECTION: Nothing has been tried yet.
**Possible Options:**
Option 1: Count the legs: two a hen, four a rabbit.
Option 2: Guess."""

END = """REFLECTION: That settles it.
**Possible Options:**
Option 1: TERMINATE"""

SCRIPT = [
    Rule([THOUGHTS, END], system="Deep Thinking AI Assistant"),
    Rule(["9, it leads to an equation.", "2, it leads nowhere."], last="Rate:"),
    Rule(["3 hens and 2 rabbits."], last="Final Answer:"),
]


def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(cost_provider)
    manager.register_provider(mermaid_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Riddle"):
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        farmer = ConversableAgent("Farmer", llm_config=False, human_input_mode="NEVER")
        thinker = ReasoningAgent(
            "Thinker",
            llm_config=llm_config,
            reason_config={"method": "beam_search", "beam_size": 1, "max_depth": 2},
            human_input_mode="NEVER",
        )
        result = farmer.initiate_chat(
            thinker, message="Hens and rabbits: 5 heads, 14 legs. How many of each?", max_turns=1
        )

        print(f"\nAnswer: {result.summary}")
        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)\n")
        print(mermaid_provider.generate_sequence_diagram())


if __name__ == "__main__":
    main()
