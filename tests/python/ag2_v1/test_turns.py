"""Turns of an agent, however they are asked for: the tree they give."""

from __future__ import annotations

import asyncio
import sys
import threading
from textwrap import dedent

import callboard
import pytest
from ag2 import Agent, MemoryStream
from ag2.events import ModelMessage, ModelResponse
from ag2.middleware import BaseMiddleware, Middleware
from conftest import OURS, config, named, served, speaker
from model_server import Failure
from pydantic import BaseModel


def tree(text: str) -> str:
    return dedent(text).strip()


async def by_ask(agent, question):
    return await agent.ask(question)


async def by_run(agent, question):
    async with agent.run(question) as run:
        return await run.result()


async def by_start(agent, question):
    async with agent.run(question) as run:
        run.start()
        return await run.result()


async def by_two_steps(agent, question):
    """The run is left before anybody waits for its task; AG2 then waits itself."""
    async with agent.run(question) as run:
        run.start()
        await asyncio.sleep(0)
        return await run.result()


@pytest.mark.parametrize("way", [by_ask, by_run, by_start, by_two_steps])
async def test_a_turn(way, recorder, traced, serve):
    server = serve("A goldfish joke.")
    with traced():
        reply = await way(speaker("emma", server), "Tell me a joke.")
        assert callboard.current_span().kind == "workflow"
    assert reply.body == "A goldfish joke."
    assert recorder.tree() == tree("""
        workflow
          * agent_creation emma
          reply emma to -: A goldfish joke.
            * agent_send_msg user -> emma: Tell me a joke.
            * agent_send_msg emma -> user: A goldfish joke.
            llm_call gpt-4o-mini of emma
              * cost
              * llm_create answered
    """)
    assert recorder.spent() == served(server)


async def test_what_a_turn_records(recorder, traced, serve):
    with traced():
        emma = speaker("emma", serve("A joke."))
        await emma.ask("One, please.")
    reply = recorder.root.only("reply")
    assert reply.attributes == {
        "ag2.reply_function": "ask",
        "ag2.agent.recipient": "emma",
        "ag2.agent.recipient.id": str(id(emma)),
        "gen_ai.agent.name": "emma",
        "ag2.messages.start": [{"role": "user", "content": "One, please."}],
        "ag2.reply": "A joke.",
    }
    assert recorder.root.event("agent_creation") == {
        "ag2.agent.id": str(id(emma)),
        "ag2.agent.type": "Agent",
        "ag2.agent.name": "emma",
        "ag2.agent.system_message": "You are emma.",
        "ag2.agent.has_llm_config": True,
    }


async def test_a_conversation(recorder, traced, serve):
    """Each answer can be asked further; the history grows in one chain."""
    server = serve("one", "two", "three")
    with traced():
        reply = await speaker("emma", server).ask("1?")
        reply = await reply.ask("2?")
        async with reply.run("3?") as run:
            await run.result()
    replies = recorder.root.all("reply")
    assert [reply["ag2.reply"] for reply in replies] == ["one", "two", "three"]
    assert [message["content"] for message in replies[2].only("llm_call")["gen_ai.input.messages"]] == [
        "You are emma.",
        *("1?", "one", "2?", "two", "3?"),
    ]
    assert recorder.spent() == served(server)


async def test_conversations_of_one_agent_that_begin_alike(recorder, traced, serve):
    """Each goes on by itself, however they take turns, and so does one whose agent is told something else meanwhile."""
    with traced():
        emma = speaker("emma", serve("one", "one", "two", "three", "four", "five"))
        first, second = await emma.ask("1?"), await emma.ask("1?")
        first, second = await first.ask("2?"), await second.ask("3?")
        await first.ask("4?", prompt=["You are Ann."])
        await emma.ask("5?")
    asked = [
        [message["content"] for message in call["gen_ai.input.messages"]] for call in recorder.root.all("llm_call")
    ]
    assert asked == [
        ["You are emma.", "1?"],
        ["You are emma.", "1?"],
        ["You are emma.", "1?", "one", "2?"],
        ["You are emma.", "1?", "one", "3?"],
        ["You are Ann.", "1?", "one", "2?", "two", "4?"],
        ["You are emma.", "5?"],
    ]


class Overruled(BaseMiddleware):
    async def on_turn(self, call_next, event, context):
        await call_next(event, context)
        return ModelResponse(message=ModelMessage("No."))


class Edited(BaseMiddleware):
    async def on_turn(self, call_next, event, context):
        response = await call_next(event, context)
        response.message = ModelMessage("No.")
        return response


@pytest.mark.parametrize("middleware", [Overruled, Edited])
async def test_a_middleware_that_answers_for_the_model(middleware, recorder, traced, serve):
    """The turn's answer is the middleware's, and the model's is that of its call."""
    with traced():
        reply = await speaker("emma", serve("Yes."), middleware=[Middleware(middleware)]).ask("?")
    assert reply.body == "No."
    turn = recorder.root.only("reply")
    assert turn["ag2.reply"] == "No."
    assert turn.only("llm_call")["gen_ai.output.messages"][0]["parts"] == [{"type": "text", "content": "Yes."}]


async def test_every_variable_of_a_turns_callers_has_a_value(traced, serve):
    """AG2 reads the variables of all callers for each function that it subscribes: those without a value cost it an exception."""
    ours = []

    def look(event, context):
        frame = sys._getframe()
        while frame := frame.f_back:
            if frame.f_code.co_filename.startswith(OURS):
                ours.append((frame.f_code.co_name, set(frame.f_code.co_varnames) - frame.f_locals.keys()))
        return BaseMiddleware(event, context)

    class Model:
        provider = model = "own"

        def create(self):
            return answer

    async def answer(messages, context, **options):
        look(None, context)
        return ModelResponse(message=ModelMessage("Yes."))

    with traced():
        await Agent("emma", config=Model(), middleware=[look]).ask("?")
    assert ours == [("__aenter__", set()), ("wrapper", set()), ("wrapper", set())]


async def test_resumed(recorder, traced, serve):
    server = serve("one", "two")
    with traced():
        emma = speaker("emma", server)
        first = await emma.ask("1?")
        events = [event for event in await first.history.get_events() if type(event).__name__ == "ModelRequest"]
        await emma.resume(*events, stream=MemoryStream())
    assert [reply["ag2.reply"] for reply in recorder.root.all("reply")] == ["one", "two"]


async def test_many_at_once(recorder, traced, serve):
    servers = {name: serve(f"I am {name}.", "Yes.") for name in ("ann", "bob", "cas")}

    async def talk(agent):
        reply = await agent.ask("Who?")
        await asyncio.sleep(0)
        return await reply.ask("Sure?")

    with traced():
        agents = [speaker(name, server) for name, server in servers.items()]
        await asyncio.gather(*map(talk, agents))
        assert callboard.current_span().kind == "workflow"
    replies = recorder.root.all("reply")
    assert len(replies) == 6
    assert all(reply.parent is recorder.root for reply in replies)
    for reply in replies:
        assert reply.only("llm_call")["gen_ai.agent.name"] == reply["ag2.agent.recipient"]
    assert recorder.spent() == served(*servers.values())


async def test_one_agent_many_times_at_once(recorder, traced, serve):
    server = serve(*["Yes."] * 8)
    with traced():
        emma = speaker("emma", server)
        await asyncio.gather(*(emma.ask(f"{number}?") for number in range(8)))
    calls = recorder.root.all("llm_call")
    asked = {call["gen_ai.input.messages"][-1]["content"] for call in calls}
    assert asked == {f"{number}?" for number in range(8)}
    assert all(call.parent.attributes["ag2.messages.start"][0]["content"] in asked for call in calls)
    assert recorder.spent() == served(server)


async def test_a_turn_that_fails(recorder, traced, serve):
    with traced(), pytest.raises(Exception, match="scripted failure") as raised:
        await speaker("emma", serve(Failure(500))).ask("?")
    failed = [span.kind for span in recorder.spans.values() if recorder.root and span.error]
    assert failed == ["reply", "llm_call"]
    assert recorder.root.only("reply").error == f"openai.InternalServerError: {raised.value}"
    assert recorder.root.found("cost") == []
    assert recorder.root.event("llm_create")["ag2.llm.is_error"] is True


async def test_an_agent_without_a_model(recorder, traced):
    with traced(), pytest.raises(Exception, match="config"):
        await Agent("emma").ask("?")
    assert recorder.root.all("reply") == []


async def test_a_turn_that_is_left_undone(recorder, traced, serve):
    """Leaving the block cancels the turn."""
    server = serve("never heard")
    with traced():
        async with speaker("emma", server).run("?") as run:
            run.start()
            await asyncio.sleep(0)
    assert recorder.root.only("reply").error.startswith("asyncio.exceptions.CancelledError")


async def test_a_turn_that_is_never_driven(recorder, traced, serve):
    with traced():
        async with speaker("emma", serve()).run("?"):
            pass
    assert recorder.root.children == []


async def test_structured_answers(recorder, traced, serve):
    """An answer that does not fit the schema is asked for again: a turn of its own."""

    class Doubled(BaseModel):
        value: int

    server = serve("not a number", '{"value": 42}')
    with traced():
        reply = await speaker("emma", server, response_schema=Doubled).ask("Twice 21?")
        assert await reply.content(retries=1) == Doubled(value=42)
    assert [reply["ag2.reply"] for reply in recorder.root.all("reply")] == ["not a number", '{"value": 42}']
    assert recorder.spent() == served(server)


async def test_an_agent_of_the_programs_own_class(recorder, traced, serve):
    class Careful(Agent):
        async def ask(self, *message, **options):
            return await super().ask(*message, **options)

    with traced():
        await Careful("emma", config=config(serve("Hi."))).ask("?")
    assert recorder.root.only("reply")["ag2.reply"] == "Hi."
    assert recorder.root.event("agent_creation")["ag2.agent.type"] == "Careful"


def test_names():
    assert named("subtask-0123abcd") == "subtask"
    assert named("subtask-force") == "subtask-force"


@pytest.mark.parametrize("goes_on", ["thread", "executor"])
async def test_a_turn_in_a_thread(goes_on, recorder, traced, serve):
    server = serve("One.")
    emma = speaker("emma", server)
    loop = asyncio.get_running_loop()

    def ask():
        asyncio.run(emma.ask("Begin."))

    def by_a_thread():
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()

    with traced():
        if goes_on == "executor":
            await loop.run_in_executor(None, ask)
        else:
            by_a_thread()
    assert recorder.tree() == tree("""
        workflow
          reply emma to -: One.
            * agent_send_msg user -> emma: Begin.
            * agent_send_msg emma -> user: One.
            llm_call gpt-4o-mini of emma
              * cost
              * llm_create answered
    """)
    assert recorder.spent() == served(server)
