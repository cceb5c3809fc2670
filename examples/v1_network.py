"""Two comedians on a hub of AG2 1.x, traced: one conversation, one trace, though each has a task of its own.

The jokes come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

import asyncio

from ag2 import Agent
from ag2.config import OpenAIConfig
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import Hub
from callboard import CostTrackerProvider, InstrumentationManager, MermaidDiagramProvider, telemetry_context
from model_server import ModelServer, Rule

SCRIPT = [
    Rule(
        ["Why did the goldfish refuse the peanut butter? It was already in enough sticky situations."],
        system="Your name is Emma",
    ),
]


async def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(cost_provider)
    manager.register_provider(mermaid_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Comedians"):
        config = OpenAIConfig("gpt-4o-mini", base_url=server.base_url, api_key="none")
        async with await Hub.open(MemoryKnowledgeStore()) as hub:
            jack = await hub.register(Agent("Jack", "Your name is Jack and you are a comedian.", config=config))
            await hub.register(Agent("Emma", "Your name is Emma and you are a comedian.", config=config))
            channel = await jack.open(type="consulting", target="Emma")
            await channel.send("Emma, tell me a joke about goldfish and peanut butter.")
            await jack.wait_for_channel_event(
                channel_id=channel.channel_id, predicate=lambda envelope: envelope.event_type == "ag2.channel.closed"
            )

        print(f"Cost summary: {cost_provider.total_cost:.6f} ({len(cost_provider.cost_history)} cost events)\n")
        print(mermaid_provider.generate_sequence_diagram())


if __name__ == "__main__":
    asyncio.run(main())
