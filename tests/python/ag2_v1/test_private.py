"""A turn and a hand-off with a secret in them: it reaches no provider where it is redacted, or no content is recorded."""

from __future__ import annotations

import callboard
import pytest
from ag2 import Agent
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import AgentTarget, FromSpeaker, Handoff, Hub, TerminateTarget, Transition, TransitionGraph
from callboard import redaction
from conftest import config
from model_server import Answer, ToolCall
from recorder import Recorder

SECRET = "sk-proj-abcDEF0123456789abcdef"


@pytest.fixture
def told(serve):
    """Runs a workflow in which every text holds the secret; gives what a provider and the diagram are told."""

    async def run(**options):
        manager = callboard.InstrumentationManager(**options)
        recorder, diagram = Recorder(manager), callboard.MermaidDiagramProvider()
        manager.register_provider(recorder)
        manager.register_provider(diagram)
        server = serve(Answer(tool_calls=[ToolCall("hand_over", {"reason": SECRET})]), f"It is {SECRET}.")

        def hand_over(reason: str) -> Handoff:
            """Hand over."""
            return Handoff(target="user", reason=reason)

        with callboard.telemetry_context(manager):
            async with await Hub.open(MemoryKnowledgeStore()) as hub:
                user = await hub.register(Agent("user"))
                ann = await hub.register(
                    Agent("ann", f"The key is {SECRET}.", config=config(server), tools=[hand_over])
                )
                rule = Transition(when=FromSpeaker(user.agent_id), then=AgentTarget(ann.agent_id))
                graph = TransitionGraph(user.agent_id, [rule], TerminateTarget("done"), max_turns=2)
                channel = await user.open(type="workflow", target="ann", knobs={"graph": graph.to_dict()})
                await channel.send(f"What is {SECRET}?")
                await user.wait_for_channel_event(
                    channel_id=channel.channel_id, predicate=lambda envelope: envelope.event_type.endswith(".closed")
                )
        assert manager.flush(10)
        assert SECRET in str(server.exchanges[-1].request), "the model is asked what the program says"
        spans = [(span.attributes, span.events) for span in recorder.spans.values()]
        return str(spans), diagram.generate_sequence_diagram(), recorder

    return run


async def test_everything_by_default(told):
    recorded, diagram, recorder = await told()
    assert SECRET in recorded
    assert SECRET in diagram
    assert recorder.root.event("swarm_transition")["callboard.handoff.reason"] == SECRET


async def test_redacted(told):
    recorded, diagram, recorder = await told(redact=redaction.READY)
    assert SECRET not in recorded
    assert SECRET not in diagram
    assert recorder.root.all("llm_call")[0]["gen_ai.input.messages"][-1]["content"] == "[user]: What is [key]?"


async def test_no_content(told):
    recorded, diagram, recorder = await told(capture_content="none")
    assert SECRET not in recorded
    assert SECRET not in diagram
    assert len(recorder.root.all("llm_call")) == 2
    assert recorder.root.found("cost")[0]["ag2.llm.input_tokens"] > 0
