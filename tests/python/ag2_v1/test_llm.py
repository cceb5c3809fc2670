"""Model calls: what they ask, what they answer, what they use; tried again, streamed, of a client of the program's own."""

from __future__ import annotations

import base64
import json

import pytest
from ag2 import Agent, AudioInput, DocumentInput, ImageInput, ToolResult, tool
from ag2.events import ModelMessage, ModelMessageChunk, ModelResponse, TextInput, ToolCallEvent, Usage
from ag2.knowledge import MemoryKnowledgeStore
from ag2.knowledge.config import KnowledgeConfig
from ag2.middleware import BaseMiddleware, Middleware
from ag2.middleware.builtin import RetryMiddleware
from ag2.testing import TestConfig, TrackingConfig
from callboard.ag2 import faults
from conftest import asked, config, double, overheard, served, speaker
from model_server import Answer, Failure


async def test_what_a_call_records(recorder, traced, serve):
    server = serve(Answer("Hi.", input_tokens=100, output_tokens=20, cached_tokens=60, reasoning_tokens=5))
    with traced():
        emma = Agent("emma", "Be kind.", config=config(server, temperature=0.5), tools=[double])
        await emma.ask("Hello?")
    call = recorder.root.only("llm_call")
    definition = call["gen_ai.tool.definitions"][0]
    assert definition["function"]["name"] == "double"
    assert definition["function"]["parameters"]["properties"] == {"x": {"title": "X", "type": "integer"}}
    about = {key: value for key, value in call.attributes.items() if key != "gen_ai.tool.definitions"}
    assert about == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.agent.name": "emma",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.temperature": 0.5,
        "gen_ai.response.model": "gpt-4o-mini",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.input.messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello?"}],
        "gen_ai.output.messages": [
            {"role": "assistant", "parts": [{"type": "text", "content": "Hi."}], "finish_reason": "stop"}
        ],
    }
    cost = {key: value for key, value in call.event("cost").items() if not key.startswith("callboard.cost.")}
    assert cost == {
        "ag2.cost_type": "LLM",
        "ag2.agent.name": "emma",
        "ag2.llm.provider": "openai",
        "ag2.llm.model": "gpt-4o-mini",
        "ag2.llm.input_tokens": 100,
        "ag2.llm.output_tokens": 20,
        "callboard.llm.cache_read_input_tokens": 60,
        "callboard.llm.reasoning_output_tokens": 5,
        "ag2.cost": pytest.approx(40 * 0.15e-6 + 60 * 0.075e-6 + 20 * 0.6e-6),
    }
    create = call.event("llm_create")
    assert create["ag2.client.base_url"].rstrip("/") == server.base_url
    assert create["ag2.client.model"] == "gpt-4o-mini"
    assert create["ag2.agent.name"] == "emma"
    assert create["ag2.invocation_id"] == call.id
    assert (create["ag2.llm.is_error"], create["ag2.llm.is_cached"]) == (False, False)
    assert create["ag2.llm.params"]["temperature"] == 0.5
    assert create["ag2.llm.response"]["choices"][0]["message"] == {"role": "assistant", "content": "Hi."}
    assert "secret-key" not in str(recorder.spans)


async def test_tools_in_a_history(recorder, traced, serve):
    with traced():
        await speaker("emma", serve(asked(), "It is 42."), tools=[double]).ask("Twice 21?")
    first, second = recorder.root.all("llm_call")
    assert first["gen_ai.output.messages"][0]["parts"] == [
        {"type": "tool_call", "id": "call_1_1", "name": "double", "arguments": '{"x": 21}'}
    ]
    assert second["gen_ai.input.messages"][2:] == [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "call_1_1", "type": "function", "function": {"name": "double", "arguments": '{"x": 21}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1_1", "content": "42"},
    ]


async def test_streaming(recorder, traced, serve):
    server = serve("A joke in five words.")
    seen = []
    with traced():
        emma = Agent("emma", config=config(server, streaming=True))
        async with emma.run("?") as run:
            run.stream.where(ModelMessageChunk).subscribe(lambda chunk: seen.append(chunk.content))
            reply = await run.result()
    assert "".join(seen) == reply.body == "A joke in five words."
    call = recorder.root.only("llm_call")
    assert call["gen_ai.output.messages"][0]["parts"][0]["content"] == reply.body
    assert call["gen_ai.request.stream"] is True
    assert call["gen_ai.response.time_to_first_chunk"] > 0
    assert recorder.spent() == served(server)


async def test_each_attempt_is_a_call(recorder, traced, serve):
    server = serve(Failure(500), Failure(503), "At last.")
    with traced():
        emma = speaker("emma", server, middleware=[RetryMiddleware(max_retries=3)])
        assert (await emma.ask("?")).body == "At last."
    calls = recorder.root.only("reply").all("llm_call")
    assert [call.error is not None for call in calls] == [True, True, False]
    assert [call.event("llm_create")["ag2.llm.is_error"] for call in calls] == [True, True, False]
    assert recorder.spent() == served(server)


async def test_a_middleware_that_answers_itself(recorder, traced, serve):
    class Canned(BaseMiddleware):
        async def on_llm_call(self, call_next, events, context):
            return ModelResponse(ModelMessage("canned"))

    with traced():
        reply = await speaker("emma", serve(), middleware=[Middleware(Canned)]).ask("?")
    assert reply.body == "canned"
    assert recorder.root.only("reply")["ag2.reply"] == "canned"
    assert recorder.root.all("llm_call") == []


async def test_an_answer_that_says_nothing_of_tokens(recorder, traced):
    with traced():
        await Agent("emma", config=TestConfig("Hi.")).ask("?")
    assert recorder.root.event("cost")["callboard.cost.unpriced"] is True


@pytest.mark.parametrize(
    ("provider", "tokens"),
    [("anthropic", (18, 4)), ("bedrock", (18, 4)), ("google", (10, 7)), ("openai", (10, 4)), (None, (10, 4))],
)
async def test_services_count_differently(provider, tokens, recorder, traced):
    usage = Usage(10, 4, 14, cache_read_input_tokens=5, cache_creation_input_tokens=3, thinking_tokens=3)
    response = ModelResponse(ModelMessage("Hi."), usage=usage, model="some-model", provider=provider)
    with traced():
        await Agent("emma", config=TestConfig(response)).ask("?")
    assert recorder.spent() == tokens


async def test_a_client_around_a_client_is_one_call(recorder, traced, serve):
    server = serve("Hi.")
    with traced():
        await Agent("emma", config=TrackingConfig(config(server))).ask("?")
    assert recorder.root.only("llm_call")["gen_ai.agent.name"] == "emma"
    assert recorder.spent() == served(server)


class OwnConfig:
    """A configuration of the program's own, whose client derives from nothing and may be a plain function."""

    provider = model = "own"

    def __init__(self, client):
        self.client = client

    def copy(self):
        return self

    def create(self):
        return self.client


async def answer(messages, context, *, tools, response_schema, serializer):
    return ModelResponse(ModelMessage("own"), usage=Usage(3, 2, 5), model="own", provider="own")


class OwnClient:
    async def __call__(self, messages, context, **options):
        return await answer(messages, context, **options)


@pytest.mark.parametrize("client", [answer, OwnClient()])
async def test_a_client_of_the_programs_own(client, recorder, traced):
    with traced():
        reply = await Agent("emma", config=OwnConfig(client), tools=[double]).ask("?")
        reply = await reply.ask("And?")
    assert reply.body == "own"
    calls = recorder.root.all("llm_call")
    assert [call.parent.kind for call in calls] == ["reply", "reply"]
    assert calls[0]["gen_ai.request.model"] == "own"
    assert calls[0]["gen_ai.tool.definitions"][0]["function"]["name"] == "double"
    assert recorder.spent() == (6, 4)


async def test_what_ag2_asks_a_model_for_itself(recorder, traced, serve):
    """Compaction and aggregation are calls of the agent's, within its turn."""
    from ag2.aggregate import AggregateTrigger, ConversationSummaryAggregate
    from ag2.compact import CompactTrigger, SummarizeCompact

    server = serve("one", "a summary", "an aggregate")
    knowledge = KnowledgeConfig(
        store=MemoryKnowledgeStore(),
        compact=SummarizeCompact(target=1, config=config(server)),
        compact_trigger=CompactTrigger(max_events=1),
        aggregate=ConversationSummaryAggregate(config=config(server)),
        aggregate_trigger=AggregateTrigger(on_end=True),
    )
    with traced():
        await speaker("emma", server, knowledge=knowledge).ask("?")
    calls = recorder.root.only("reply").all("llm_call")
    assert [call["gen_ai.agent.name"] for call in calls] == ["emma"] * len(server.exchanges)
    assert len(calls) == 3
    assert recorder.spent() == served(server)


async def test_files_are_recorded_by_reference(recorder, traced, serve):
    picture = ImageInput(data=b"not really a picture", media_type="image/png")
    with traced():
        await speaker("emma", serve("Nice.")).ask("Look:", picture, {"answer": 42})
    message = recorder.root.only("llm_call")["gen_ai.input.messages"][-1]
    assert message == {
        "role": "user",
        "content": [
            {"type": "text", "text": "Look:"},
            {"type": "image_url", "image_url": {"url": "callboard:image/png;bytes=20;sha256=fe1a4ab1fb634703"}},
            {"type": "text", "text": '{"answer":42}'},
        ],
    }


@pytest.mark.parametrize("make", [ImageInput, AudioInput, DocumentInput])
async def test_what_a_tool_gives_is_recorded_by_reference(make, recorder, traced):
    """As bytes, or in a URL that holds its data."""
    encoded = base64.b64encode(b"not really" * 100).decode()

    def look() -> ToolResult:
        """Look."""
        return ToolResult(
            make(data=b"not really" * 100, media_type="image/png"), make(url=f"data:image/png;base64,{encoded}")
        )

    script = TestConfig(ToolCallEvent(name="look"), "I see.")
    with traced():
        await Agent("emma", config=script, tools=[tool(look)]).ask("Look.")
    assert recorder.root
    assert encoded not in json.dumps([[span.attributes, span.events] for span in recorder.spans.values()], default=str)
    answered = recorder.root.all("llm_call")[1]["gen_ai.input.messages"][-1]
    assert str(answered["content"]).count("callboard:image/png;") == 2


async def test_a_history_is_one_chain(traced, serve):
    """What two calls have in common is the same: what was said is read as a turn begins, and not again."""
    read = []
    said = overheard(TextInput, "content", lambda: read.append(1))
    with traced():
        reply = await speaker("emma", serve(*"abcdef")).ask(said("0"))
        for number in range(1, 6):
            reply = await reply.ask(said(str(number)))
    assert len(read) == 6


async def test_a_field_that_an_event_works_out_itself(recorder, traced):
    class Shouted(TextInput):
        content = property(
            lambda self: self.__dict__["content"].upper(), lambda self, it: self.__dict__.update(content=it)
        )

    with traced():
        await Agent("emma", config=TestConfig("Hi.")).ask(Shouted("hello"))
    assert recorder.root.all("llm_call")[0]["gen_ai.input.messages"][-1]["content"] == "HELLO"


async def test_the_cost_of_an_answer_that_cannot_be_read(recorder, traced, caplog):
    """It is recorded before anything else is read."""
    faults._reported.clear()

    def unforeseen():
        raise LookupError("no such thing")

    odd = overheard(ModelResponse, "finish_reason", unforeseen)
    response = odd(ModelMessage("Hi."), usage=Usage(10, 4, 14), model="some-model", provider="openai")
    with traced():
        assert (await Agent("emma", config=TestConfig(response)).ask("?")).body == "Hi."
    assert recorder.spent() == (10, 4)
    assert "callboard could not record llm_call" in caplog.text
