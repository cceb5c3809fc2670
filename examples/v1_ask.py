"""An agent of AG2 1.x with a tool and a helper, traced: who asked whom, and what it cost.

The helper is another agent, which the first one has as a tool. The answers come from a script on this machine, so that
it needs no key.
"""

from __future__ import annotations

import asyncio

from ag2 import Agent
from ag2.config import OpenAIConfig
from callboard import CostTrackerProvider, InstrumentationManager, telemetry_context
from model_server import Answer, ModelServer, Rule, ToolCall

SCRIPT = [
    Rule(
        [
            Answer(tool_calls=[ToolCall("fare", {"to": "Oslo"}), ToolCall("task_Guide", {"objective": "Oslo, a day"})]),
            "The train to Oslo is 49 euros. Go to the opera, and climb its roof.",
        ],
        system="You are a travel desk",
    ),
    Rule(["The opera: one may climb its roof."], system="You know cities"),
]


def fare(to: str) -> str:
    """Looks up what a train ticket costs."""
    return f"to {to}: 49 euros"


async def main() -> None:
    manager = InstrumentationManager()
    cost_provider = CostTrackerProvider()
    manager.register_provider(cost_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Travel"):
        config = OpenAIConfig("gpt-4o-mini", base_url=server.base_url, api_key="none")
        guide = Agent("Guide", "You know cities.", config=config)
        desk = Agent(
            "Desk",
            "You are a travel desk.",
            config=config,
            tools=[fare, guide.as_tool(description="Says what to do in a city.")],
        )
        reply = await desk.ask("A day in Oslo?")

        print(f"{reply.body}\n")
        print(cost_provider.report())


if __name__ == "__main__":
    asyncio.run(main())
