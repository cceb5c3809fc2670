"""Findings in AG2 1.x: hand-offs and tool calls that go round, and those that do not."""

from __future__ import annotations

import pytest
from ag2 import tool
from ag2.knowledge import MemoryKnowledgeStore
from ag2.network import (
    AgentTarget,
    FromSpeaker,
    Handoff,
    Hub,
    TerminateTarget,
    ToolCalled,
    Transition,
    TransitionGraph,
)
from conftest import asked, double, speaker


def found(recorder):
    """The findings of the run: which, in a sentence, and the kinds of the spans that show it."""
    kinds = {span.id: span.kind for span in recorder.spans.values()}
    return [
        (
            event["callboard.finding"],
            event["callboard.finding.text"],
            [kinds[id] for id in event["callboard.finding.spans"]],
        )
        for event in recorder.root.found("finding")
    ]


async def test_separate_requests_that_need_the_same_tool(recorder, traced, serve):
    script = [step for number in range(3) for step in (asked(), f"It is 42, {number}.")]
    with traced():
        desk = speaker("desk", serve(*script), tools=[double])
        for number in range(3):
            await desk.ask(f"Request {number}: twice 21?")
    assert len(recorder.root.all("tool_call")) == 3
    assert found(recorder) == []


async def test_a_tool_called_again_and_again(recorder, traced, serve):
    with traced():
        await speaker("desk", serve(asked(), asked(), asked(), "It is 42."), tools=[double]).ask("Twice 21?")
    told = "double was called 3 times with the same arguments"
    assert found(recorder) == [("repeated_tool_call", told, ["tool_call"] * 3)]


@tool
def to_ann(reason: str) -> Handoff:
    """Hands over to ann."""
    return Handoff(target="ann", reason=reason)


@tool
def to_bob(reason: str) -> Handoff:
    """Hands over to bob."""
    return Handoff(target="bob", reason=reason)


@tool
def over_to_ann(reason: str) -> str:
    """Hands over by a rule."""
    return "over"


@tool
def over_to_bob(reason: str) -> str:
    """Hands over by a rule."""
    return "over"


WAYS = {"a Handoff": ((to_bob, to_ann), "group_chat"), "a rule": ((over_to_bob, over_to_ann), "swarm_on_condition")}


@pytest.mark.parametrize("way", WAYS)
async def test_hand_offs_in_a_circle(way, recorder, traced, serve):
    (to_the_other, back), shown_by = WAYS[way]
    scripts = [
        [
            step
            for number in range(2)
            for step in (asked(hand_over.name, reason=f"{number}"), f"{hand_over.name} {number}")
        ]
        for hand_over in (to_the_other, back)
    ]
    with traced():
        async with await Hub.open(MemoryKnowledgeStore()) as hub:
            user = await hub.register(speaker("user", None))
            ann = await hub.register(speaker("ann", serve(*scripts[0], "I am done."), tools=[to_the_other]))
            bob = await hub.register(speaker("bob", serve(*scripts[1]), tools=[back]))
            graph = TransitionGraph(
                initial_speaker=user.agent_id,
                transitions=[
                    Transition(when=FromSpeaker(user.agent_id), then=AgentTarget(ann.agent_id)),
                    Transition(when=ToolCalled("over_to_bob"), then=AgentTarget(bob.agent_id)),
                    Transition(when=ToolCalled("over_to_ann"), then=AgentTarget(ann.agent_id)),
                ],
                default_target=TerminateTarget("done"),
            )
            channel = await user.open(type="workflow", target=["ann", "bob"], knobs={"graph": graph.to_dict()})
            await channel.send("Go.")
            await user.wait_for_channel_event(
                channel_id=channel.channel_id, predicate=lambda envelope: envelope.event_type.endswith(".closed")
            )
    [(kind, told, spans)] = found(recorder)
    assert (kind, told) == ("hand_off_cycle", "hand-offs go round: ann → bob → ann")
    assert set(spans) == {shown_by}
    assert len(spans) == (1 if shown_by == "group_chat" else 4)
