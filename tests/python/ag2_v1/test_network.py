"""Channels of a hub: the tree they give, of each kind; everything in one trace, whatever task it happens in."""

from __future__ import annotations

import asyncio

import callboard
import pytest
from ag2 import tool
from ag2.knowledge import MemoryKnowledgeStore
from ag2.middleware import BaseMiddleware, Middleware
from ag2.network import (
    AgentTarget,
    FromSpeaker,
    Handoff,
    Hub,
    HubClient,
    LocalLink,
    Passport,
    TerminateTarget,
    ToolCalled,
    Transition,
    TransitionGraph,
)
from conftest import asked, served, speaker
from model_server import Answer, Failure
from test_turns import tree

SILENCE = Answer("")  # no message is made of it: the conversation is over


def open_hub():
    return Hub.open(MemoryKnowledgeStore())


async def until(condition):
    """Wait for what a hub's tasks do."""
    while not condition():
        await asyncio.sleep(0.005)


class Counted(BaseMiddleware):
    """Keeps which turns are over."""

    def __init__(self, event, context, over):
        super().__init__(event, context)
        self.over = over

    async def on_turn(self, call_next, event, context):
        try:
            return await call_next(event, context)
        finally:
            self.over.append(event)


@pytest.fixture
def over():
    """The turns that are over."""
    return []


@pytest.fixture
def counted(over):
    """Makes agents whose turns are counted."""

    def make(name, server, **options):
        return speaker(name, server, middleware=[Middleware(Counted, over=over)], **options)

    return make


async def closing(channel):
    """Wait until a channel has closed by its own rules."""
    while not (await channel.info()).is_terminal():
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("one_connection_each", [True, False])
async def test_a_conversation(one_connection_each, recorder, traced, serve, counted, over):
    servers = serve("three", SILENCE), serve("two", "four")
    with traced():
        async with await open_hub() as hub:
            everybody = hub if one_connection_each else HubClient(LocalLink(hub))
            ann = await everybody.register(counted("ann", servers[0]))
            await everybody.register(counted("bob", servers[1]))
            channel = await ann.open(type="conversation", target="bob")
            await channel.send("one")
            await until(lambda: len(over) == 4)
            await channel.close("enough")
            if not one_connection_each:
                await everybody.close()
        assert callboard.current_span().kind == "workflow"
    assert recorder.tree("llm_create", "cost") == tree("""
        workflow
          * agent_creation ann
          * agent_creation bob
          chat conversation ann -> bob: enough
            * agent_send_msg ann -> bob: one
            * agent_send_msg bob -> ann: two
            * agent_send_msg ann -> bob: three
            * agent_send_msg bob -> ann: four
            reply bob to ann: two
              llm_call gpt-4o-mini of bob
            reply ann to bob: three
              llm_call gpt-4o-mini of ann
            reply bob to ann: four
              llm_call gpt-4o-mini of bob
            reply ann to bob: None
              llm_call gpt-4o-mini of ann
    """)
    assert recorder.spent() == served(*servers)
    assert len(recorder.roots) == 1


async def test_what_a_channel_records(recorder, traced, serve, counted, over):
    with traced():
        async with await open_hub() as hub:
            agents = speaker("ann", None), counted("bob", serve(SILENCE))
            ann, _ = [await hub.register(agent) for agent in agents]
            channel = await ann.open(type="conversation", target="bob")
            envelope_id = await channel.send("one")
            await channel.close("enough")
    chat = recorder.root.only("chat")
    who = {
        "ag2.agent.sender": "ann",
        "ag2.agent.sender.id": str(id(agents[0])),
        "ag2.agent.recipient": "bob",
        "ag2.agent.recipient.id": str(id(agents[1])),
    }
    assert chat.attributes == {
        "ag2.chat_function": "create_channel",
        **who,
        "callboard.channel.id": channel.channel_id,
        "callboard.channel.type": "conversation",
        "callboard.channel.close_reason": "enough",
        "ag2.chat.initial_message": "one",
    }
    assert chat.event("agent_send_msg") == {
        **who,
        "ag2.message": "one",
        "ag2.silent": False,
        "callboard.envelope.id": envelope_id,
        "callboard.envelope.causation_id": None,
        "callboard.envelope.type": "ag2.msg.text",
    }


async def test_round_robin(recorder, traced, serve, counted, over):
    servers = serve("two"), serve("three"), serve(SILENCE)
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(counted("ann", servers[2]))
            await hub.register(counted("bob", servers[0]))
            await hub.register(counted("cas", servers[1]))
            channel = await ann.open(type="discussion", target=["bob", "cas"])
            await channel.send("one")
            await until(lambda: len(over) == 3)
            await channel.close()
    assert recorder.tree("llm_call", "agent_creation") == tree("""
        workflow
          * groupchat_creation ann, bob, cas by discussion
          group_chat discussion of ann, bob, cas: explicit_close
            * agent_send_msg ann -> bob: one
            * agent_send_msg ann -> cas: one (silent)
            * agent_transition ann -> bob: Round robin selection
            * agent_send_msg bob -> ann: two (silent)
            * agent_send_msg bob -> cas: two
            * agent_transition bob -> cas: Round robin selection
            * agent_send_msg cas -> ann: three
            * agent_send_msg cas -> bob: three (silent)
            * agent_transition cas -> ann: Round robin selection
            reply bob to ann: two
            reply cas to bob: three
            reply ann to cas: None
    """)
    assert recorder.spent() == served(*servers)


@tool
def to_cas(reason: str) -> Handoff:
    """Hands over to cas."""
    return Handoff(target="cas", reason=reason)


@tool
def escalate(reason: str) -> str:
    """Hands over to whoever the workflow says."""
    return "escalated"


@pytest.mark.parametrize(("hands_off", "rule"), [(to_cas, "REPLY_RESULT"), (escalate, "ON_CONDITION")])
async def test_a_hand_off(hands_off, rule, recorder, traced, serve, counted):
    servers = serve(asked(hands_off.name, reason="maths"), "Over."), serve("It is 42.")
    with traced():
        async with await open_hub() as hub:
            user = await hub.register(speaker("user", None))
            ann = await hub.register(counted("ann", servers[0], tools=[hands_off]))
            cas = await hub.register(counted("cas", servers[1]))
            graph = TransitionGraph(
                initial_speaker=user.agent_id,
                transitions=[
                    Transition(when=FromSpeaker(user.agent_id), then=AgentTarget(ann.agent_id)),
                    Transition(when=ToolCalled("escalate"), then=AgentTarget(cas.agent_id)),
                ],
                default_target=TerminateTarget("done"),
            )
            knobs = {"graph": graph.to_dict()}
            channel = await user.open(type="workflow", target=["ann", "cas"], knobs=knobs)
            await channel.send("Twice 21?")
            await closing(channel)
    transition = "* swarm_transition ann -> cas"
    span = f"swarm_on_condition ann -> cas: {rule} {hands_off.name}\n              {transition}"
    is_condition = rule == "ON_CONDITION"
    expected = tree(f"""
        workflow
          * groupchat_creation user, ann, cas by workflow
          group_chat workflow of user, ann, cas: done
            * agent_send_msg user -> ann: Twice 21?
            * agent_send_msg user -> cas: Twice 21? (silent)
            * agent_transition user -> ann: AFTER_WORK
            * agent_send_msg ann -> user: Over. (silent)
            * agent_send_msg ann -> cas: Over.
            {"" if is_condition else transition}
            * agent_transition ann -> cas: {rule}
            * agent_send_msg cas -> user: It is 42.
            * agent_send_msg cas -> ann: It is 42. (silent)
            reply ann to user: Over.
              tool_call {hands_off.name} by ann
            {span if is_condition else ""}
            reply cas to ann: It is 42.
    """)
    drawn = recorder.tree("llm_call", "agent_creation", "tool_execution")
    assert drawn.splitlines() == [line for line in expected.splitlines() if line.strip()]
    assert recorder.spent() == served(*servers)
    [hand_off] = recorder.root.found("swarm_transition")
    assert (hand_off["callboard.handoff.reason"], hand_off["ag2.transition_reason"]) == ("maths", rule)
    began = [span.began for span in recorder.root.all("swarm_on_condition")]
    assert all(began >= recorder.root.only("tool_call").began for began in began)


async def test_a_channel_within_a_tool(recorder, traced, serve, counted, over):
    """`delegate` opens a channel for one question: it lies within the tool's span."""
    servers = serve(asked("delegate", target="bob", prompt="Count."), "It is three."), serve("three")
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(counted("ann", servers[0]))
            await hub.register(counted("bob", servers[1]))
            assert (await ann.agent.ask("How many?")).body == "It is three."
    assert recorder.tree("llm_call", "agent_creation", "tool_execution") == tree("""
        workflow
          reply ann to -: It is three.
            * agent_send_msg user -> ann: How many?
            * agent_send_msg ann -> user: It is three.
            tool_call delegate by ann
              chat consulting ann -> bob: consulting_complete
                * agent_send_msg ann -> bob: Count.
                * agent_send_msg bob -> ann: three
                reply bob to ann: three
    """)
    assert recorder.spent() == served(*servers)


async def test_a_human_takes_part(recorder, traced, serve, counted, over):
    server = serve("Hello, Eve.")
    with traced():
        async with await open_hub() as hub:
            client = HubClient(LocalLink(hub))
            await client.register(counted("bob", server))
            eve = await client.register_human(Passport(name="eve"))
            channel = await eve.open(type="conversation", target="bob")
            await eve.send(channel.channel_id, "Hello.")
            await until(lambda: recorder.manager.flush(1) and recorder.spans and said(recorder) == 2)
            await client.close()
    assert recorder.tree("llm_call") == tree("""
        workflow
          * agent_creation bob
          * agent_creation eve
          chat conversation eve -> bob: -
            * agent_send_msg eve -> bob: Hello.
            * agent_send_msg bob -> eve: Hello, Eve.
            reply bob to eve: Hello, Eve.
    """)


def said(recorder):
    return len([name for span in recorder.spans.values() for name, _ in span.events if name == "agent_send_msg"])


async def test_a_turn_that_fails(recorder, traced, serve, counted, over):
    """AG2 logs it and the channel goes on."""
    server = serve(Failure(500))
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(speaker("ann", None))
            await hub.register(counted("bob", server))
            channel = await ann.open(type="conversation", target="bob")
            await channel.send("one")
            await until(lambda: over)
    reply = recorder.root.only("chat").only("reply")
    assert reply.error.startswith("openai.InternalServerError")


async def test_a_hub_closed_during_a_turn(recorder, traced, serve):
    server = serve(Answer("too late", delay_s=0.3))
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(speaker("ann", None))
            await hub.register(speaker("bob", server))
            channel = await ann.open(type="conversation", target="bob")
            await channel.send("one")
            await until(
                lambda: recorder.manager.flush(1) and any(s.kind == "llm_call" for s in recorder.spans.values())
            )
    reply = recorder.root.only("chat").only("reply")
    assert reply.error.startswith("asyncio.exceptions.CancelledError")


async def test_a_hub_from_before_the_run(recorder, traced, serve, counted, over):
    """Its tasks know nothing of the run, and its channel has a span from the first message on."""
    servers = serve("three", SILENCE), serve("two", "four")
    async with await open_hub() as hub:
        ann = await hub.register(counted("ann", servers[0]))
        await hub.register(counted("bob", servers[1]))
        channel = await ann.open(type="conversation", target="bob")
        with traced():
            await channel.send("one")
            await until(lambda: len(over) == 4)
            await channel.close("enough")
    assert recorder.tree("llm_call") == tree("""
        workflow
          chat conversation ann -> bob: enough
            * agent_send_msg ann -> bob: one
            * agent_send_msg bob -> ann: two
            * agent_send_msg ann -> bob: three
            * agent_send_msg bob -> ann: four
            reply bob to ann: two
            reply ann to bob: three
            reply bob to ann: four
            reply ann to bob: None
    """)
    assert recorder.spent() == served(*servers)


async def test_a_channel_in_a_second_run(recorder, traced, serve, counted, over):
    server = serve("two", SILENCE)
    async with await open_hub() as hub:
        ann = await hub.register(speaker("ann", None))
        await hub.register(counted("bob", server))
        channel = await ann.open(type="conversation", target="bob")
        callboard.instrument_ag2()
        try:
            for count, question in enumerate(("one", "three"), start=1):
                with traced():
                    await channel.send(question)
                    await until(lambda count=count: len(over) == count)
        finally:
            callboard.uninstrument_ag2()
    assert recorder.manager.flush(10)
    assert [root.only("chat")["ag2.chat.initial_message"] for root in recorder.roots] == ["one", "three"]
    assert [len(root.all("reply")) for root in recorder.roots] == [1, 1]


async def test_many_channels_at_once(recorder, traced, serve, counted, over):
    names = ["bob", "cas", "dan"]
    servers = {name: serve(f"I am {name}.") for name in names}
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(speaker("ann", None))
            for name in names:
                await hub.register(speaker(name, servers[name]))
            channels = await asyncio.gather(*(ann.open(type="consulting", target=name) for name in names))
            await asyncio.gather(*(channel.send("Who?") for channel in channels))
            for channel in channels:
                await closing(channel)
    chats = recorder.root.all("chat")
    assert {chat["ag2.agent.recipient"]: chat.only("reply")["ag2.reply"] for chat in chats} == {
        name: f"I am {name}." for name in names
    }
    assert recorder.spent() == served(*servers.values())


async def test_a_message_of_the_programs_own_kind(recorder, traced, serve, counted, over):
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(speaker("ann", None))
            await hub.register(speaker("bob", None))
            channel = await ann.open(type="conversation", target="bob")
            await channel.send("", event_type="own.kind", event_data={"answer": 42})
    assert recorder.root.only("chat").event("agent_send_msg")["ag2.message"] == {"answer": 42}
