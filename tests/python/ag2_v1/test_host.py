"""The host program's results, exceptions and signatures are the same with callboard and without."""

from __future__ import annotations

import asyncio
import inspect
import re
import traceback

import callboard
import pytest
from ag2 import Agent, TaskConfig, tool
from ag2.events import ToolErrorEvent
from conftest import asked, config, double, speaker, untraced
from model_server import ModelServer


def plain(event):
    """An event without what differs from run to run by itself."""
    left_out = ("created_at", "id", "task_id", "_serialized_arguments")
    about = {key: same(str(value)) for key, value in vars(event).items() if key not in left_out}
    return type(event).__name__, {} if isinstance(event, ToolErrorEvent) else about


def same(text):
    """What is said, without the ids in it."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}|(?<=subtask-)[0-9a-f]{8}|[0-9a-f]{32}", "ID", text)


async def turns(server):
    reply = await speaker("emma", server).ask("1?")
    return await reply.ask("2?")


async def tools(server):
    return await speaker("emma", server, tools=[double]).ask("Twice 21?")


async def failing(server):
    return await speaker("emma", server, tools=[broken]).ask("Twice 21?")


@tool
def broken(x: int) -> int:
    """Fails."""
    raise LookupError("no")


async def subtasks(server):
    return await speaker("emma", server, tasks=TaskConfig()).ask("?")


async def streamed(server):
    return await Agent("emma", config=config(server, streaming=True)).ask("?")


PROGRAMS = {
    turns: ("one", "two"),
    tools: (asked(), "It is 42."),
    failing: (asked("broken"), "Oh."),
    subtasks: (asked("run_subtask", task="Count."), "three", "It is three."),
    streamed: ("A few words.",),
}


@pytest.mark.parametrize("program", PROGRAMS)
async def test_results_and_requests(program, traced):
    outcomes = []
    for context in (untraced, traced):
        with ModelServer(list(PROGRAMS[program])) as server, context():
            reply = await program(server)
            events = [plain(event) for event in await reply.history.get_events()]
            usage = (await reply.usage()).total
            requests = [exchange.request for exchange in server.exchanges]
        if program is failing:  # The exception's lines are in what the model is answered, and ours are not among them.
            assert "callboard" not in str(requests)
        outcomes.append((reply.body, [name for name, _ in events] if program is failing else events, usage, requests))
    without, with_callboard = outcomes
    assert with_callboard == without


async def test_an_exception_reaches_the_program_unchanged(traced):
    error = KeyError("mine")

    class Config:
        provider = model = "own"

        def create(self):
            return fails

    async def fails(messages, context, **options):
        raise error

    seen = []
    for context in (untraced, traced):
        error.__traceback__ = None
        with context(), pytest.raises(KeyError) as raised:
            await Agent("emma", config=Config()).ask("?")
        assert raised.value is error
        assert raised.value.__context__ is None and raised.value.__cause__ is None
        seen.append([frame.name for frame in traceback.extract_tb(error.__traceback__)])
    without, with_callboard = seen
    assert with_callboard == without


async def test_a_cancelled_turn(recorder, traced, serve):
    started = asyncio.Event()

    @tool
    async def wait(x: int) -> str:
        """Waits."""
        started.set()
        await asyncio.Event().wait()

    with traced():
        task = asyncio.create_task(speaker("emma", serve(asked("wait")), tools=[wait]).ask("?"))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert callboard.current_span().kind == "workflow"
    for kind in ("reply", "tool_call"):
        assert recorder.root.only(kind).error.startswith("asyncio.exceptions.CancelledError")


def test_signatures_and_names(traced):
    from ag2.config.openai.openai_client import OpenAIClient
    from ag2.context import ConversationContext
    from ag2.network import AgentClient

    scope = "_drive_scope" if hasattr(Agent, "_drive_scope") else "_turn_scope"
    question = "ask" if hasattr(ConversationContext, "ask") else "input"
    places = [(Agent, "__init__"), (Agent, scope), (ConversationContext, question), (OpenAIClient, "__call__")]
    before = [vars(owner)[name] for owner, name in (*places, (AgentClient, "receive"))]
    with traced():
        for (owner, name), function in zip((*places, (AgentClient, "receive")), before, strict=True):
            wrapper = vars(owner)[name]
            assert wrapper is not function
            assert inspect.signature(wrapper) == inspect.signature(function)
            assert (wrapper.__name__, wrapper.__qualname__, wrapper.__doc__) == (
                function.__name__,
                function.__qualname__,
                function.__doc__,
            )
            assert inspect.iscoroutinefunction(wrapper) == inspect.iscoroutinefunction(function)


async def test_nothing_is_recorded_outside_of_a_run(recorder, traced, serve):
    with traced():
        pass
    callboard.instrument_ag2()
    try:
        reply = await speaker("emma", serve(asked(), "42"), tools=[double]).ask("?")
    finally:
        callboard.uninstrument_ag2()
    assert reply.body == "42"
    assert recorder.root.children == []
    assert recorder.root.events == []
