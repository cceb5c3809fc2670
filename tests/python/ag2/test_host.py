"""The host program's results, exceptions, output and limits are the same with callboard and without."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import sys
import traceback

import callboard
import pytest
from autogen import Agent, ConversableAgent
from conftest import speaker, untraced
from model_server import Answer, ModelServer
from test_chat import MODES, chat, ends
from test_tools import asked, double, double_async, team


def same(text):
    """Output without what differs from run to run by itself."""
    return re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "UUID", text)


async def rounds(mode, context):
    with ModelServer(["one", "two", "FINISH"]) as server, context():
        jack, emma = speaker("jack", server), speaker("emma", server, is_termination_msg=ends)
        return await chat(jack, emma, mode, message="zero", max_turns=5)


async def tools(mode, context):
    with ModelServer([asked(), "It is 42."]) as server, context():
        caller, executor = team(server, double if mode == "sync" else double_async)
        return await chat(executor, caller, mode, message="Twice 21?", max_turns=2)


async def reflection(mode, context):
    script = ["an answer", Answer("a summary", input_tokens=9, output_tokens=3)]
    with ModelServer(script) as server, context():
        jack, emma = speaker("jack", None), speaker("emma", server)
        return await chat(jack, emma, mode, message="zero", max_turns=1, summary_method="reflection_with_llm")


@pytest.mark.filterwarnings("error:Cannot extract summary")  # AG2 goes on with an empty one: here it says why.
@pytest.mark.parametrize("program", [rounds, tools, reflection])
@pytest.mark.parametrize("mode", MODES)
async def test_results_costs_and_output(program, mode, traced, console):
    outcomes = []
    for context in (untraced, traced):
        result = await program(mode, context)
        said = (result.chat_history, result.summary, result.cost, result.human_input)
        outcomes.append((*said, console.readouterr()))
    without, with_callboard = outcomes
    assert with_callboard[:4] == without[:4]
    assert same(with_callboard[4].out) == same(without[4].out) != ""
    assert with_callboard[4].err == without[4].err


@pytest.mark.parametrize("mode", MODES)
async def test_an_exception_reaches_the_program_unchanged(mode, recorder, traced):
    error = KeyError("mine")

    def fails(agent, messages, sender, config):
        raise error

    with traced():
        jack, emma = speaker("jack", None), speaker("emma", None)
        emma.register_reply([Agent, None], fails)
        with pytest.raises(KeyError) as raised:
            await chat(jack, emma, mode, message="Hello.", max_turns=1)
    assert raised.value is error
    assert raised.value.__context__ is None and raised.value.__cause__ is None
    assert traceback.extract_tb(error.__traceback__)[-1].name == "fails"
    failed = [span.kind for span in recorder.spans.values() if recorder.root and span.error]
    assert failed == ["chat", "round", "reply", "reply_function"]


async def test_a_cancelled_chat(recorder, traced):
    started = asyncio.Event()

    async def waits(agent, messages, sender, config):
        started.set()
        await asyncio.Event().wait()

    with traced():
        jack, emma = speaker("jack", None), speaker("emma", None)
        emma.register_reply([Agent, None], waits)
        task = asyncio.create_task(jack.a_initiate_chat(emma, message="Hello.", max_turns=1))
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert callboard.current_span().kind == "workflow"
    assert recorder.root.only("chat").error.startswith("asyncio.exceptions.CancelledError")


def test_a_long_chat_recurses_no_deeper(traced):
    """Without `max_turns` AG2 recurses with every message, up to Python's limit."""

    def length_of_longest_chat():
        said = []

        def counts(agent, messages, sender, config):
            said.append(agent.name)
            return True, "on"

        agents = [speaker(name, None, max_consecutive_auto_reply=10_000) for name in ("jack", "emma")]
        for agent in agents:
            agent.register_reply([Agent, None], counts)
        with contextlib.suppress(RecursionError):
            agents[0].initiate_chat(agents[1], message="on", silent=True)
        return len(said)

    without = length_of_longest_chat()
    with traced():
        assert length_of_longest_chat() >= without - 10
    assert without > sys.getrecursionlimit() / 4


def test_signatures_and_names(traced):
    names = ["initiate_chat", "a_initiate_chat", "generate_reply", "a_generate_reply", "__init__"]
    before = {name: getattr(ConversableAgent, name) for name in names}
    with traced():
        for name, function in before.items():
            wrapper = getattr(ConversableAgent, name)
            assert wrapper is not function
            assert inspect.signature(wrapper) == inspect.signature(function)
            assert (wrapper.__name__, wrapper.__qualname__, wrapper.__module__) == (
                function.__name__,
                function.__qualname__,
                function.__module__,
            )
            assert wrapper.__doc__ == function.__doc__
            assert inspect.iscoroutinefunction(wrapper) == inspect.iscoroutinefunction(function)


@pytest.mark.parametrize("mode", MODES)
async def test_the_parent_of_a_chat(mode, recorder, traced, manager, serve):
    with traced():
        mine = manager.start_span("my_step")
        inner = manager.start_span("my_inner_step")
        jack, emma = speaker("jack", None), speaker("emma", serve("Hi."))
        seen = []

        def message(sender, recipient, context):
            seen.append(dict(context))
            return "Hello."

        await chat(jack, emma, mode, message=message, max_turns=1, telemetry_parent_context=mine, topic="x")
        assert callboard.current_span() is inner
    assert seen == [{"topic": "x"}]
    assert recorder.root.only("chat").parent.kind == "my_step"


def test_a_parent_in_a_thread_without_a_run(recorder, traced):
    import threading

    with traced():
        jack, emma = speaker("jack", None), speaker("emma", None, default_auto_reply="Hi.")
        options = {"message": "Hello.", "max_turns": 1, "telemetry_parent_context": callboard.current_span()}
        thread = threading.Thread(target=jack.initiate_chat, args=(emma,), kwargs=options)
        thread.start()
        thread.join()
    assert recorder.root.only("chat").only("reply")["ag2.reply"] == "Hi."


def test_a_parent_that_is_none(recorder, traced):
    with traced():
        jack, emma = speaker("jack", None), speaker("emma", None, default_auto_reply="Hi.")
        jack.initiate_chat(emma, message="Hello.", max_turns=1, telemetry_parent_context=None)
    assert recorder.root.only("chat").parent is recorder.root


def test_nothing_is_recorded_outside_of_a_run(recorder, traced):
    with traced():
        pass
    callboard.instrument_ag2()
    try:
        jack, emma = speaker("jack", None), speaker("emma", None, default_auto_reply="Hi.")
        result = jack.initiate_chat(emma, message="Hello.", max_turns=1)
    finally:
        callboard.uninstrument_ag2()
    assert result.summary == "Hi."
    assert recorder.root.children == []
