"""A question that is asked twice, with AG2's cache of answers, traced: what was paid, and what the cache saved.

The second answer comes from the cache, so that the service sees one request. It is a model call in the trace all the
same, and costs nothing. The answer comes from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

from autogen import ConversableAgent
from autogen.cache.in_memory_cache import InMemoryCache
from callboard import CostTrackerProvider, InstrumentationManager, telemetry_context
from model_server import ModelServer

SCRIPT = ["A dozen, if the hens are well."]


def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    manager.register_provider(cost_provider)

    with ModelServer(SCRIPT) as server:
        llm_config = {"config_list": [{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "none"}]}
        farmer = ConversableAgent("Farmer", llm_config=llm_config, human_input_mode="NEVER")
        cook = ConversableAgent("Cook", llm_config=False, human_input_mode="NEVER")
        with telemetry_context(manager, "Breakfast"), InMemoryCache("breakfast") as cache:
            for _ in range(2):
                cook.initiate_chat(farmer, message="How many eggs today?", max_turns=1, cache=cache)

        print(f"\nThe service was asked {len(server.exchanges)} time.")
    print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")
    print(f"Saved by the cache: {cost_provider.saved:.6f}")


if __name__ == "__main__":
    main()
