"""A workflow on a hub of AG2 1.x, traced: a desk hands over to a specialist, and the trace says by which tool and why.

The answers come from a script on this machine, so that it needs no key.
"""

from __future__ import annotations

import asyncio

from ag2 import Agent
from ag2.config import OpenAIConfig
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import AgentTarget, FromSpeaker, Handoff, Hub, TerminateTarget, Transition, TransitionGraph
from callboard import InstrumentationManager, MermaidDiagramProvider, telemetry_context
from model_server import Answer, ModelServer, Rule, ToolCall

SCRIPT = [
    Rule(
        [Answer(tool_calls=[ToolCall("to_billing", {"reason": "a bill twice"})]), "Billing will see to it."],
        system="You are the desk",
    ),
    Rule(["One of the two is cancelled."], system="You are billing"),
]


def to_billing(reason: str) -> Handoff:
    """Hands over to billing."""
    return Handoff(target="Billing", reason=reason)


async def main() -> None:
    manager = InstrumentationManager()
    mermaid_provider = MermaidDiagramProvider()
    manager.register_provider(mermaid_provider)

    with ModelServer(SCRIPT) as server, telemetry_context(manager, "Support"):
        config = OpenAIConfig("gpt-4o-mini", base_url=server.base_url, api_key="none")
        async with await Hub.open(MemoryKnowledgeStore()) as hub:
            user = await hub.register(Agent("User"))
            desk = await hub.register(Agent("Desk", "You are the desk.", config=config, tools=[to_billing]))
            await hub.register(Agent("Billing", "You are billing.", config=config))
            graph = TransitionGraph(
                initial_speaker=user.agent_id,
                transitions=[Transition(when=FromSpeaker(user.agent_id), then=AgentTarget(desk.agent_id))],
                default_target=TerminateTarget("answered"),
            )
            channel = await user.open(type="workflow", target=["Desk", "Billing"], knobs={"graph": graph.to_dict()})
            await channel.send("I got the same bill twice.")
            await user.wait_for_channel_event(
                channel_id=channel.channel_id, predicate=lambda envelope: envelope.event_type == "ag2.channel.closed"
            )

        print(mermaid_provider.generate_sequence_diagram())


if __name__ == "__main__":
    asyncio.run(main())
