"""AG2's functions called in every way that AG2 accepts, or rejects: watched ones are as lenient and as strict as bare."""

from __future__ import annotations

import asyncio
import functools

import callboard
import pytest
from ag2 import Agent, Context, TaskConfig, tool
from ag2.context import ConversationContext
from ag2.events import ModelMessageChunk, ModelRequest
from ag2.middleware import BaseMiddleware, Middleware
from ag2.network import AgentClient
from ag2.tools.executor import _execute_call
from ag2.tools.subagents.run_task import run_task
from ag2.tools.subagents.run_task import run_task as another_name
from callboard.ag2 import faults
from conftest import asked, config, served, speaker, untraced
from model_server import Rule
from test_network import open_hub

SCOPE = "_drive_scope" if hasattr(Agent, "_drive_scope") else "_turn_scope"


REGISTRY = {"run": another_name}


class Holder:
    """The function in other places than a module."""

    method = staticmethod(another_name)

    @staticmethod
    def by_default(agent, objective, context, run=another_name):
        return run(agent, objective, parent_context=context)


WAYS = {
    "positional": lambda agent, context: run_task(agent, "Count.", parent_context=context),
    "keywords": lambda agent, context: run_task(parent_context=context, objective="Count.", agent=agent),
    "another name": lambda agent, context: another_name(agent, "Count.", parent_context=context),
    "another name, keywords": lambda agent, context: another_name(
        objective="Count.", agent=agent, parent_context=context
    ),
    "in a dict": lambda agent, context: REGISTRY["run"](agent, "Count.", parent_context=context),
    "a method": lambda agent, context: Holder.method(agent, "Count.", parent_context=context),
    "a default": lambda agent, context: Holder.by_default(agent, "Count.", context),
    "partial": lambda agent, context: functools.partial(another_name, agent)("Count.", parent_context=context),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_task_that_the_program_runs(way, recorder, traced, serve):
    servers = serve(asked("delegate"), "ok"), serve("three")
    worker = speaker("worker", servers[1])

    @tool
    async def delegate(x: int, context: Context) -> str:
        """Delegates."""
        return (await WAYS[way](worker, context)).result

    with traced():
        await speaker("boss", servers[0], tools=[delegate]).ask("?")
    chat = recorder.root.only("tool_call").only("nested_chat")
    assert (chat["ag2.agent.sender"], chat["ag2.agent.recipient"]) == ("boss", "worker")
    assert (chat["ag2.chat.initial_message"], chat["ag2.chat_result.summary"]) == ("Count.", "three")
    assert chat.only("reply")["ag2.reply"] == "three"
    assert len(recorder.root.all("nested_chat")) == 1
    assert recorder.spent() == served(*servers)


async def awaited(call):
    result = call()
    return await result if hasattr(result, "__await__") else result


REJECTED = {
    "run_task()": lambda agent, client: run_task(),
    "run_task(agent)": lambda agent, client: run_task(agent),
    "run_task(agent, …, bogus)": lambda agent, client: run_task(agent, "x", parent_context=None, bogus=1),
    "receive()": lambda agent, client: AgentClient.receive(),
    "receive(bogus)": lambda agent, client: AgentClient.receive(None, bogus=1),
    "AgentClient(agent)": lambda agent, client: AgentClient(agent=agent),
    "client()": lambda agent, client: client(),
    "client(messages)": lambda agent, client: client([]),
    "client(messages, context, tools)": lambda agent, client: client([], None, []),
    "Agent()": lambda agent, client: Agent(),
    "Agent(bogus)": lambda agent, client: Agent("x", bogus=1),
    "ask(bogus)": lambda agent, client: agent.ask("x", bogus=1),
    "_execute_call()": lambda agent, client: _execute_call(),
    "ModelMessageChunk(1, 2)": lambda agent, client: ModelMessageChunk(1, 2),
    "a turn without an event": lambda agent, client: getattr(agent, SCOPE)(),
    "a turn without a client": lambda agent, client: getattr(agent, SCOPE)(ModelRequest([])),
    "input()": lambda agent, client: ConversationContext.input(),
}


@pytest.mark.parametrize("call", REJECTED)
async def test_wrong_arguments_are_ag2s_to_reject(call, traced, serve, caplog):
    faults._reported.clear()
    told = []
    server = serve()
    for context in (untraced, traced):
        with context(), pytest.raises(TypeError) as raised:
            agent, client = speaker("emma", server), config(server).create()
            await awaited(lambda agent=agent, client=client: REJECTED[call](agent, client))
        told.append(str(raised.value))
    assert told[0] == told[1]
    assert "callboard" not in told[1]
    assert [record for record in caplog.records if record.name.startswith("callboard")] == []


async def test_an_envelope_received_by_keyword(recorder, traced, serve):
    server = serve("two")
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(speaker("ann", None))
            bob = await hub.register(speaker("bob", server))
            channel = await ann.open(type="conversation", target="bob")
            bob._suppress_handler(channel.channel_id)
            await channel.send("one")
            await asyncio.sleep(0.05)
            bob._unsuppress_handler(channel.channel_id)
            envelopes = await hub.read_wal(channel.channel_id)
            [text] = [envelope for envelope in envelopes if envelope.event_type == "ag2.msg.text"]
            await bob.receive(envelope=text)
            await channel.close()
    assert recorder.root.only("chat").only("reply")["ag2.agent.sender"] == "ann"
    assert recorder.spent() == served(server)


async def test_a_middleware_that_calls_on_by_keyword(recorder, traced, serve):
    """As a client takes the arguments: AG2 gives it the last middleware's."""

    class Naming(BaseMiddleware):
        async def on_llm_call(self, call_next, events, context):
            return await call_next(messages=events, context=context)

    class Own:
        provider = model = "own"

        def create(self):
            client = config(server).create()

            async def passing(messages, context, **options):
                return await client(messages=messages, context=context, **options)

            return passing

    server = serve("Hi.", "Hi.")
    with traced():
        for configured in (config(server), Own()):
            await Agent("emma", config=configured, middleware=[Middleware(Naming)]).ask("?")
    assert len(recorder.root.all("llm_call")) == 2
    assert recorder.spent() == served(server)


async def test_what_a_program_asks_is_drawn(recorder, traced, serve):
    diagram = callboard.MermaidDiagramProvider()
    recorder.manager.register_provider(diagram)
    servers = serve("one", asked("task_ann", objective="Count."), "two"), serve("three")
    with traced():
        ann = speaker("ann", servers[1])
        emma = speaker("emma", servers[0], tools=[ann.as_tool(description="Counts.")])
        await (await emma.ask("1?")).ask("2?")
    lines = [line.strip() for line in diagram.generate_sequence_diagram().splitlines()]
    spoken = [line for line in lines if line.startswith(("user->>", "emma->>user"))]
    assert spoken == ["user->>emma: 1?", "emma->>user: one", "user->>emma: 2?", "emma->>user: two"]
    sent = [event for event in recorder.root.found("agent_send_msg") if event["ag2.agent.sender"] == "user"]
    assert {event["ag2.agent.sender.id"] for event in sent} == {"user"}
    assert {event["ag2.agent.recipient.id"] for event in sent} == {str(id(emma))}


async def test_asking_the_same_again_is_no_finding(recorder, traced, serve):
    with traced():
        emma = speaker("emma", serve(*["Fine."] * 4))
        for _ in range(4):
            await emma.ask("How are you?")
    assert recorder.root.found("finding") == []


async def test_names_that_ag2_uses_are_the_programs_too(recorder, traced, serve):
    """An agent is AG2's own by what made it, and not by its name."""
    names = ("subtask-0123abcd", "speaker_selection_agent", "checking_agent")
    with traced():
        for name in names:
            await speaker(name, serve("Hi.")).ask("?")
    assert not any("callboard.agent.internal" in span.attributes for span in recorder.spans.values() if recorder.root)
    assert all("callboard.agent.internal" not in event for event in recorder.root.found("agent_creation"))


async def test_an_agent_that_a_subtasks_tool_makes_is_the_programs(recorder, traced, serve):
    def script():
        yield Rule([asked("run_subtask", task="Count."), "ok"], system="boss")
        yield Rule(["made it"], system="subtask-deadbeef")
        yield Rule([asked("make"), "done"])

    server = serve(*script())

    @tool
    async def make(x: int) -> str:
        """Makes an agent."""
        return (await speaker("subtask-deadbeef", server).ask("?")).body

    with traced():
        await speaker("boss", server, tasks=TaskConfig(extra_tools=[make])).ask("?")
    created = {
        event["ag2.agent.name"]: "callboard.agent.internal" in event for event in recorder.root.found("agent_creation")
    }
    assert created.pop("subtask-deadbeef") is False
    assert created.pop("boss") is False
    assert list(created.values()) == [True]
    marked = {
        reply["ag2.agent.recipient"]
        for reply in recorder.root.all("reply")
        if "callboard.agent.internal" in reply.attributes
    }
    assert marked == set(created)
