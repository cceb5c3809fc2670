"""Agents of AG2 1.x that are asked at once, traced: one trace, in which each has its turn, and its share of the cost.

The answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

import asyncio

from ag2 import Agent
from ag2.config import OpenAIConfig
from callboard import CostTrackerProvider, InstrumentationManager, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(["A gull."], system="You paint"),
    Rule(["Salt on the rail, and the gull is unimpressed."], system="You write"),
    Rule(["C, G, A minor, F."], system="You compose"),
]


async def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    manager.register_provider(cost_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Studio"):
        config = OpenAIConfig("gpt-4o-mini", base_url=server.base_url, api_key="none")
        agents = [
            Agent(name, f"You {verb}.", config=config)
            for name, verb in (("Painter", "paint"), ("Writer", "write"), ("Composer", "compose"))
        ]
        replies = await asyncio.gather(*(agent.ask("Something about the sea?") for agent in agents))

        for agent, reply in zip(agents, replies, strict=True):
            print(f"{agent.name}: {reply.body}")
        print(f"\nCost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)")
        for name, cost in sorted(cost_provider.cost_by_agent().items()):
            print(f"  {name}: {cost / cost_provider.total_cost:.0%}")


if __name__ == "__main__":
    asyncio.run(main())
