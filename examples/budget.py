"""Two agents that never come to an end, with a budget: the run is stopped when it is used up.

The answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from itertools import repeat

from autogen import ConversableAgent
from callboard import Budget, BudgetExceeded, CostTrackerProvider, InstrumentationManager, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(repeat("The hen was first."), system="You argue for the hen"),
    Rule(repeat("The egg was first."), system="You argue for the egg"),
]


def main() -> None:
    manager = InstrumentationManager(
        budget=[Budget(max_cost_usd=0.0001), Budget(max_llm_calls=50, per="agent", action="warn")]
    )
    cost_provider = CostTrackerProvider()
    manager.register_provider(cost_provider)

    with ModelServer(SCRIPT) as server:
        llm_config = {
            "config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}],
            "cache_seed": None,
        }
        hen, egg = (
            ConversableAgent(
                name, system_message=f"You argue for the {name}.", llm_config=llm_config, human_input_mode="NEVER"
            )
            for name in ("hen", "egg")
        )
        try:
            with telemetry_context(manager, "Argument"):
                hen.initiate_chat(egg, message="Which was first?", max_turns=1000)
        except BudgetExceeded as stopped:
            print(f"\nStopped: {stopped}")

        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")
        print(f"The service was asked {len(server.exchanges)} times.")


if __name__ == "__main__":
    main()
