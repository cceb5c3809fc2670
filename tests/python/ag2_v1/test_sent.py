"""What is recorded as sent to a model is what its server got, whatever a program does with events, data and iterators."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from collections import deque
from typing import Any

import pytest
from ag2 import Agent, MemoryStream, tool
from ag2.context import ConversationContext
from ag2.events import ModelRequest, TextInput
from ag2.middleware import BaseMiddleware, Middleware
from conftest import asked, config, served, speaker
from fast_depends.pydantic import PydanticSerializer
from pydantic import BaseModel
from test_network import open_hub


def check(recorder, server):
    """Compare the messages of each call with those that the server got; an empty system message is left out."""
    assert recorder.root
    recorded = [call["gen_ai.input.messages"] for call in recorder.root.all("llm_call")]
    requests = [exchange.request["messages"] for exchange in server.exchanges]
    assert recorded == [[one for one in sent if one["role"] != "system" or one["content"]] for sent in requests]
    assert recorder.spent() == served(server)


def handing_on(change):
    """A middleware that hands the events on as `change` makes them."""

    class Changing(BaseMiddleware):
        async def on_llm_call(self, call_next, events, context):
            return await call_next(change(events), context)

    return [Middleware(Changing)]


ITERABLES = {
    "filter": lambda events: filter(None, events),
    "map": lambda events: map(lambda event: event, events),
    "generator": lambda events: (event for event in events),
    "iterator": iter,
    "tuple": tuple,
    "deque": deque,
    "values": lambda events: dict(enumerate(events)).values(),
}


@pytest.mark.parametrize("kind", ITERABLES)
async def test_events_as_any_iterable(kind, recorder, traced, serve):
    server = serve("one", "two", "three")
    with traced():
        reply = await speaker("emma", server, middleware=handing_on(ITERABLES[kind])).ask("1?")
        for question in ("2?", "3?"):
            reply = await reply.ask(question)
    assert len(server.exchanges[-1].request["messages"]) == 6
    check(recorder, server)


async def test_a_client_that_is_given_iterators(recorder, traced, serve):
    """Events, tools and the prompt: each is the client's to read."""
    server = serve("Hi.")

    @tool
    def look() -> str:
        """Look."""
        return "nothing"

    with traced():
        context = ConversationContext(MemoryStream(), prompt=iter(["Be kind."]))
        schemas = list(await look.schemas(context))
        client, events = config(server).create(), iter([ModelRequest([TextInput("Hello?")])])
        await client(events, context, tools=iter(schemas), response_schema=None, serializer=PydanticSerializer())
    [exchange] = server.exchanges
    assert [message["content"] for message in exchange.request["messages"]] == ["Be kind.", "Hello?"]
    assert len(exchange.request["tools"]) == 1
    check(recorder, server)


async def test_a_client_of_the_programs_own_gets_the_very_iterator(recorder, traced):
    given = []

    class Own:
        provider = model = "own"

        def create(self):
            return answer

    async def answer(messages, context, **options):
        given.append((messages, list(messages)))
        from ag2.events import ModelMessage, ModelResponse, Usage

        return ModelResponse(ModelMessage("own"), usage=Usage(3, 2, 5), model="own", provider="own")

    handed_on = []

    def change(events):
        handed_on.append(event for event in events)
        return handed_on[-1]

    with traced():
        await Agent("emma", config=Own(), middleware=handing_on(change)).ask("?")
    assert given[0][0] is handed_on[0]
    assert len(given[0][1]) == 1
    assert recorder.root.only("llm_call")
    assert recorder.spent() == (3, 2)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Day:
    day: datetime.date


class Sale(BaseModel):
    ids: set[int]
    colour: Colour


DATA = {
    "dates as keys": ({datetime.date(2026, 1, 1): 10}, '{"2026-01-01":10}'),
    "a tuple as key": ({(1, 2): 3}, '{"1,2":3}'),
    "a UUID as key": ({uuid.UUID(int=1): 1}, '{"00000000-0000-0000-0000-000000000001":1}'),
    "an enum as key": ({Colour.RED: 1}, '{"red":1}'),
    "an enum": ({"colour": Colour.RED}, '{"colour":"red"}'),
    "a set": ({"ids": {1}}, '{"ids":[1]}'),
    "a time": ({"when": datetime.datetime(2026, 1, 1)}, '{"when":"2026-01-01T00:00:00"}'),
    "bytes": ({"raw": b"abc"}, '{"raw":"abc"}'),
    "a dataclass": (Day(datetime.date(2026, 1, 1)), '{"day":"2026-01-01"}'),
    "a model": ([Sale(ids={1}, colour=Colour.RED)], '[{"ids":[1],"colour":"red"}]'),
}


@pytest.mark.parametrize("kind", DATA)
async def test_data_that_a_tool_returns(kind, recorder, traced, serve):
    """Its JSON is AG2's, in the tool's result and in every later call."""
    data, text = DATA[kind]
    server = serve(asked("look"), "one", "two")

    @tool
    def look(x: int) -> Any:
        """Look."""
        return data

    with traced():
        reply = await speaker("emma", server, tools=[look]).ask("?")
        await reply.ask("And?")
    assert recorder.root.only("tool_call").event("tool_execution")["ag2.function.content"] == text
    check(recorder, server)


async def test_a_generator_that_a_tool_returns(recorder, traced, serve):
    """AG2 reads it once, and the model gets what is in it."""
    server = serve(asked("count"), "one")

    @tool
    def count(x: int) -> Any:
        """Count."""
        return {"numbers": (number for number in range(3))}

    with traced():
        await speaker("emma", server, tools=[count]).ask("?")
    assert server.exchanges[1].request["messages"][-1]["content"] == '{"numbers":[0,1,2]}'
    check(recorder, server)


async def test_data_that_the_program_goes_on_changing(recorder, traced, serve):
    cart, day = {"items": []}, Day(datetime.date(2026, 1, 1))
    server = serve(asked("add"), "one", asked("add"), "two")

    @tool
    def add(x: int) -> Any:
        """Add to the cart."""
        cart["items"].append(x)
        day.day += datetime.timedelta(1)
        return {"cart": cart, "day": day}

    with traced():
        reply = await speaker("shop", server, tools=[add]).ask("?")
        await reply.ask("?")
    assert [call["gen_ai.tool.call.result"] for call in recorder.root.all("tool_call")] == [
        '{"cart":{"items":[21]},"day":{"day":"2026-01-02"}}',
        '{"cart":{"items":[21,21]},"day":{"day":"2026-01-03"}}',
    ]
    check(recorder, server)


async def test_events_that_a_middleware_changes_in_place(recorder, traced, serve):
    def change(events):
        for event in events[:-1]:
            if isinstance(event, ModelRequest):
                event.parts[0].content = event.parts[0].content.replace("secret", "XXXXXX")
        return events

    server = serve("one", "two", "three")
    with traced():
        reply = await speaker("emma", server, middleware=handing_on(change)).ask("My secret.")
        reply = await reply.ask("Go on.")
        await reply.ask("And on.")
    assert "XXXXXX" in str(server.exchanges[1].request)
    check(recorder, server)


async def test_a_summary(recorder, traced, serve):
    from ag2.compact import CompactTrigger, SummarizeCompact
    from ag2.knowledge import MemoryKnowledgeStore
    from ag2.knowledge.config import KnowledgeConfig

    server = serve(*[f"answer {number}" for number in range(9)])
    knowledge = KnowledgeConfig(
        store=MemoryKnowledgeStore(),
        compact=SummarizeCompact(target=2, config=config(server)),
        compact_trigger=CompactTrigger(max_events=3),
    )
    with traced():
        reply = await speaker("emma", server, knowledge=knowledge).ask("1?")
        for question in ("2?", "3?"):
            reply = await reply.ask(question)
    assert "[Summary of earlier conversation]" in str(server.exchanges[-2].request["messages"])
    check(recorder, server)


async def test_the_turns_of_a_hubs_members(recorder, traced, serve):
    """What a member posted itself does not reach its model again."""
    import asyncio

    server = serve(*[f"answer {number}" for number in range(4)], "")
    with traced():
        async with await open_hub() as hub:
            ann = await hub.register(speaker("ann", server))
            await hub.register(speaker("bob", server))
            channel = await ann.open(type="conversation", target="bob")
            await channel.send("one")
            while len(server.exchanges) < 5:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            await channel.close()
    check(recorder, server)
