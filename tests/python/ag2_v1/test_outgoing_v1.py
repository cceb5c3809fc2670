"""Requests to models carry the `traceparent` of the call that they are made in."""

from __future__ import annotations

from ag2 import Agent, tool
from ag2.config import OpenAIConfig
from callboard import current_span
from conftest import config, speaker
from model_server import Answer, ToolCall


def parents(server):
    return [exchange.headers.get("traceparent") for exchange in server.exchanges]


async def test_each_request_names_its_call(recorder, traced, serve):
    fetched = []

    @tool
    async def fetch() -> str:
        """Fetch something, by the client that asks models too."""
        import httpx2

        async with httpx2.AsyncClient() as client:
            answer = await client.get(server.base_url + "/elsewhere")
        fetched.append(answer.request.headers.get("traceparent"))
        return "nothing"

    server = serve(Answer(tool_calls=[ToolCall("fetch", {})]), "Done.")
    with traced():
        trace_id = current_span().trace_id
        await Agent("emma", config=config(server), tools=[fetch]).ask("Fetch!")
    calls = recorder.root.all("llm_call")
    assert parents(server) == [f"00-{trace_id}-{call.id}-01" for call in calls]
    assert (len(calls), fetched) == (2, [None])


async def test_nothing_is_sent_outside_of_a_run_or_where_the_environment_says_so(traced, serve, monkeypatch):
    server = serve("One.", "Two.")
    await speaker("emma", server).ask("Hello?")
    monkeypatch.setenv("OTEL_PROPAGATORS", "b3")
    with traced():
        await speaker("emma", server).ask("Hello?")
    assert parents(server) == [None, None]


async def test_one_of_the_programs_own_stays(traced, serve):
    server, own = serve("Hi."), f"00-{'a' * 32}-{'b' * 16}-00"
    asks = OpenAIConfig(
        model="gpt-4o-mini", api_key="none", base_url=server.base_url, default_headers={"traceparent": own}
    )
    with traced():
        await Agent("emma", config=asks).ask("Hello?")
    assert parents(server) == [own]
