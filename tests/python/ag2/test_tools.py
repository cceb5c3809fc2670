"""Tools that a model asks for: plain, async, and async in a plain chat; and tools that fail."""

from __future__ import annotations

import asyncio

import callboard
import pytest
from conftest import speaker
from model_server import Answer, ToolCall
from receiver import Receiver
from test_chat import MODES, chat, tree


def team(server, tool):
    """A caller whose model asks for the tool `double`, and an executor that has it."""
    caller = speaker("caller", server)
    executor = speaker("executor", None, default_auto_reply="Thanks.")
    caller.register_for_llm(name="double", description="Doubles a number.")(tool)
    executor.register_for_execution(name="double")(tool)
    return caller, executor


def double(x: int) -> int:
    return x * 2


async def double_async(x: int) -> int:
    await asyncio.sleep(0)
    return x * 2


def double_badly(x: int) -> int:
    raise LookupError(f"no double of {x}")


def asked(arguments=None):
    return Answer(tool_calls=[ToolCall("double", {"x": 21} if arguments is None else arguments)])


@pytest.mark.parametrize("tool", [double, double_async])
@pytest.mark.parametrize("mode", MODES)
async def test_a_tool(mode, tool, recorder, traced, serve):
    with traced():
        caller, executor = team(serve(asked(), "It is 42."), tool)
        await chat(executor, caller, mode, message="Twice 21?", max_turns=2)

    a = "" if mode == "sync" else "a_"
    assert recorder.tree("console_print", "agent_creation", "cost", "llm_create", "llm_call") == tree(f"""
        workflow
          chat {a}initiate_chat executor -> caller
            round 1 of 2
              * agent_send_msg executor -> caller: Twice 21?
              * agent_send_msg caller -> executor: double()
              reply caller {a}generate_reply: double()
                reply_function {a}generate_oai_reply
            round 2 of 2
              * agent_send_msg executor -> caller: 42
              * agent_send_msg caller -> executor: It is 42.
              reply executor {a}generate_reply: 42
                reply_function {a}generate_tool_calls_reply
                  tool_call double by executor
                    * tool_execution double: 42
              reply caller {a}generate_reply: It is 42.
                reply_function {a}generate_oai_reply
            summary last_msg: It is 42.
    """)


def test_what_a_tool_call_records(recorder, traced, serve):
    with traced():
        caller, executor = team(serve(asked(), "ok"), double)
        executor.initiate_chat(caller, message="Twice 21?", max_turns=2)
    call = recorder.root.only("tool_call")
    assert call.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": "executor",
        "callboard.tool.caller": "caller",
        "gen_ai.tool.name": "double",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": "call_1_1",
        "gen_ai.tool.call.arguments": '{"x": 21}',
        "gen_ai.tool.call.result": "42",
    }
    assert call.event("tool_execution") == {
        "ag2.tool_call_id": "call_1_1",
        "ag2.function.name": "double",
        "ag2.function.arguments": '{"x": 21}',
        "ag2.function.content": "42",
    }


@pytest.mark.parametrize("mode", MODES)
async def test_a_tool_that_fails(mode, recorder, traced, serve):
    with traced():
        caller, executor = team(serve(asked(), "Oh."), double_badly)
        result = await chat(executor, caller, mode, message="Twice 21?", max_turns=2)
    assert result.chat_history[2]["content"] == "Error: no double of 21"
    executed = recorder.root.only("tool_call").event("tool_execution")
    assert executed["ag2.function.content"] == "Error: no double of 21"


def test_a_failed_tool_is_an_error_and_nothing_around_it_is(serve):
    """The status of a span is not among what a provider's six methods are told; collectors see it."""
    manager = callboard.InstrumentationManager()
    with Receiver() as receiver:
        exporter = callboard.OpenTelemetryProvider(collector_endpoint=receiver.endpoint, service_name="test")
        manager.register_provider(exporter)
        with callboard.telemetry_context(manager, "Test"):
            caller, executor = team(serve(asked(), "Oh."), double_badly)
            executor.initiate_chat(caller, message="Twice 21?", max_turns=2)
        assert manager.flush(10)
    assert [span.name for span in receiver.spans if span.is_error] == ["execute_tool double"]


def test_arguments_that_are_no_json(recorder, traced, serve):
    with traced():
        caller, executor = team(serve(asked("{x: broken"), "Oh."), double)
        executor.initiate_chat(caller, message="Twice 21?", max_turns=2)
    call = recorder.root.only("tool_call")
    assert call["gen_ai.tool.call.arguments"] == "{x: broken"
    assert call["gen_ai.tool.call.result"].startswith("Error: ")


def test_a_function_that_nobody_has(recorder, traced):
    with traced():
        executor = speaker("executor", None)
        succeeded, answer = executor.execute_function({"name": "nothing", "arguments": "{}"}, call_id="c1")
    assert (succeeded, answer["content"]) == (False, "Error: Function nothing not found.")
    assert recorder.root.only("tool_call")["gen_ai.tool.name"] == "nothing"


@pytest.mark.parametrize("mode", MODES)
async def test_what_a_tool_does_is_inside_its_span(mode, recorder, traced, serve):
    """Also where AG2 runs an async tool of a plain chat in a thread of its own."""

    async def look_up(x: int) -> str:
        callboard.current_span().record_event("looked_up", {"x": x})
        return "found"

    with traced():
        caller, executor = team(serve(asked(), "ok"), look_up)
        await chat(executor, caller, mode, message="Twice 21?", max_turns=2)
    assert ("looked_up", {"x": 21}) in recorder.root.only("tool_call").events


def test_a_tool_that_puts_work_on_an_executor(recorder, traced, serve):
    from concurrent.futures import ThreadPoolExecutor

    inner = speaker("inner", serve("deep"))

    def delegate(x: int) -> str:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(inner.generate_reply, [{"role": "user", "content": "?"}]).result()

    with traced():
        caller, executor = team(serve(asked(), "ok"), delegate)
        executor.initiate_chat(caller, message="Twice 21?", max_turns=2)
    assert [reply["ag2.reply"] for reply in recorder.root.only("tool_call").all("reply")] == ["deep"]


async def test_several_async_tools_of_one_answer(recorder, traced, serve):
    """AG2 runs each in a task of its own; all are what the reply function does."""
    both_are_there = asyncio.Barrier(3) if hasattr(asyncio, "Barrier") else None

    async def look_up(x: int) -> str:
        if both_are_there is not None:
            await both_are_there.wait()
        callboard.current_span().record_event("looked_up", {"x": x})
        await asyncio.sleep(0)
        return f"found {x}"

    asks = Answer(tool_calls=[ToolCall("double", {"x": number}) for number in (1, 2, 3)])
    with traced():
        caller, executor = team(serve(asks, "ok"), look_up)
        await chat(executor, caller, "async", message="Look up.", max_turns=2)
    hidden = ("console_print", "agent_creation", "cost", "llm_create", "llm_call", "agent_send_msg", "summary")
    assert recorder.tree(*hidden) == tree("""
        workflow
          chat a_initiate_chat executor -> caller
            round 1 of 2
              reply caller a_generate_reply: double() double() double()
                reply_function a_generate_oai_reply
            round 2 of 2
              reply executor a_generate_reply: found 1 /  / found 2 /  / found 3
                reply_function a_generate_tool_calls_reply
                  tool_call double by executor
                    * looked_up
                    * tool_execution double: found 1
                  tool_call double by executor
                    * looked_up
                    * tool_execution double: found 2
                  tool_call double by executor
                    * looked_up
                    * tool_execution double: found 3
              reply caller a_generate_reply: ok
                reply_function a_generate_oai_reply
    """)


async def test_what_tasks_of_a_reply_function_do_lies_under_it(recorder, traced, serve):
    """Also where they go on after a first one has, and call models."""
    helpers = [speaker(f"helper{number}", serve(f"deep {number}")) for number in range(2)]

    async def delegate(x: int) -> str:
        await asyncio.sleep(0.01 * x)
        return await helpers[x].a_generate_reply([{"role": "user", "content": "?"}])

    asks = Answer(tool_calls=[ToolCall("double", {"x": number}) for number in (0, 1)])
    with traced():
        caller, executor = team(serve(asks, "ok"), delegate)
        await chat(executor, caller, "async", message="Ask.", max_turns=2)
    [running] = [
        one
        for one in recorder.root.all("reply_function")
        if one["ag2.reply_function"] == "a_generate_tool_calls_reply" and one.children
    ]
    assert [[reply["ag2.reply"] for reply in call.all("reply")] for call in running.all("tool_call")] == [
        ["deep 0"],
        ["deep 1"],
    ]
    assert len(recorder.root.all("tool_call")) == 2
