"""Tools that a model asks for: plain, async, several at once; tools that fail, are denied, or nobody has."""

from __future__ import annotations

import asyncio
import json

import callboard
import pytest
from ag2 import tool
from ag2.events import ToolResultEvent
from ag2.middleware import BaseMiddleware, Middleware
from ag2.middleware.builtin.tools import approval_required
from conftest import asked, double, served, speaker
from model_server import Answer, ToolCall
from receiver import Receiver
from test_turns import tree


@tool
async def double_async(x: int) -> int:
    """Doubles a number."""
    await asyncio.sleep(0)
    return x * 2


@tool(sync_to_thread=False)
def double_here(x: int) -> int:
    """Doubles a number."""
    return x * 2


@tool
def double_badly(x: int) -> int:
    """Doubles no number."""
    raise LookupError(f"no double of {x}")


@pytest.mark.parametrize("tool", [double, double_async, double_here])
async def test_a_tool(tool, recorder, traced, serve):
    server = serve(asked(tool.name), "It is 42.")
    with traced():
        await speaker("ann", server, tools=[tool]).ask("Twice 21?")
    assert recorder.tree("agent_creation") == tree(f"""
        workflow
          reply ann to -: It is 42.
            * agent_send_msg user -> ann: Twice 21?
            * agent_send_msg ann -> user: It is 42.
            llm_call gpt-4o-mini of ann
              * cost
              * llm_create answered
            tool_call {tool.name} by ann
              * tool_execution {tool.name}: 42
            llm_call gpt-4o-mini of ann
              * cost
              * llm_create answered
    """)
    assert recorder.spent() == served(server)


async def test_what_a_tool_call_records(recorder, traced, serve):
    with traced():
        await speaker("ann", serve(asked(), "ok"), tools=[double]).ask("Twice 21?")
    call = recorder.root.only("tool_call")
    assert call.attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.agent.name": "ann",
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


async def test_a_tool_that_fails(recorder, traced, serve):
    with traced():
        reply = await speaker("ann", serve(asked("double_badly"), "Oh."), tools=[double_badly]).ask("Twice 21?")
    assert reply.body == "Oh."
    call = recorder.root.only("tool_call")
    assert call.error == "LookupError: no double of 21"
    assert call.event("tool_execution")["ag2.function.content"].startswith("Traceback")


async def test_a_failed_tool_is_an_error_and_nothing_around_it_is(serve):
    """The status of a span is not among what a provider's six methods are told; collectors see it."""
    manager = callboard.InstrumentationManager()
    with Receiver() as receiver:
        exporter = callboard.OpenTelemetryProvider(collector_endpoint=receiver.endpoint, service_name="test")
        manager.register_provider(exporter)
        with callboard.telemetry_context(manager, "Test"):
            await speaker("ann", serve(asked("double_badly"), "Oh."), tools=[double_badly]).ask("Twice 21?")
        assert manager.flush(10)
    assert [span.name for span in receiver.spans if span.is_error] == ["execute_tool double_badly"]


async def test_arguments_that_are_no_json(recorder, traced, serve):
    """The tool fails, and then so does AG2, which cannot send the call back to the model."""
    server = serve(Answer(tool_calls=[ToolCall("double", "{x: broken")]), "Oh.")
    with traced(), pytest.raises(json.JSONDecodeError):
        await speaker("ann", server, tools=[double]).ask("Twice 21?")
    call = recorder.root.only("tool_call")
    assert call["gen_ai.tool.call.arguments"] == "{x: broken"
    assert call.error.startswith("json.decoder.JSONDecodeError")


async def test_a_tool_that_nobody_has(recorder, traced, serve):
    with traced():
        await speaker("ann", serve(asked("nothing"), "Oh."), tools=[double]).ask("?")
    call = recorder.root.only("tool_call")
    assert call["gen_ai.tool.name"] == "nothing"
    assert "nothing" in call.error


async def test_several_at_once(recorder, traced, serve):
    """What each does is in its own span, whichever is done first."""
    both = asyncio.Event()
    began = []

    @tool
    async def look_up(x: int) -> str:
        """Looks something up."""
        began.append(x)
        if len(began) == 2:
            both.set()
        await both.wait()
        callboard.current_span().record_event("looked_up", {"x": x})
        return f"found {x}"

    calls = [ToolCall("look_up", {"x": 1}), ToolCall("look_up", {"x": 2})]
    with traced():
        await speaker("ann", serve(Answer(tool_calls=calls), "ok"), tools=[look_up]).ask("?")
        assert callboard.current_span().kind == "workflow"
    found = {
        call["gen_ai.tool.call.arguments"]: (call.event("looked_up")["x"], call["gen_ai.tool.call.result"])
        for call in recorder.root.only("reply").all("tool_call")
    }
    assert found == {'{"x": 1}': (1, "found 1"), '{"x": 2}': (2, "found 2")}


async def test_what_a_plain_tool_does_in_its_thread_is_inside_its_span(recorder, traced, serve):
    @tool
    def look_up(x: int) -> str:
        """Looks something up."""
        callboard.current_span().record_event("looked_up", {"x": x})
        return "found"

    with traced():
        await speaker("ann", serve(asked("look_up"), "ok"), tools=[look_up]).ask("?")
    assert recorder.root.only("tool_call").event("looked_up") == {"x": 21}


async def test_a_tool_that_a_middleware_answers(recorder, traced, serve):
    class Denied(BaseMiddleware):
        async def on_tool_execution(self, call_next, event, context):
            return ToolResultEvent.from_call(event, "denied")

    with traced():
        agent = speaker("ann", serve(asked(), "ok"), tools=[double], middleware=[Middleware(Denied)])
        await agent.ask("?")
    assert recorder.root.only("tool_call")["gen_ai.tool.call.result"] == "denied"


async def test_a_human_asked_whether_a_tool_may_run(recorder, traced, serve):
    @tool(middleware=[approval_required()])
    def delete(x: int) -> str:
        """Deletes a number."""
        return "gone"

    with traced():
        agent = speaker("ann", serve(asked("delete"), "ok"), tools=[delete], hitl_hook=lambda event: "y")
        await agent.ask("?")
    assert recorder.tree("agent_creation", "llm_call") == tree("""
        workflow
          reply ann to -: ok
            * agent_send_msg user -> ann: ?
            * agent_send_msg ann -> user: ok
            tool_call delete by ann
              * tool_execution delete: gone
              human_input ann: y
    """)
